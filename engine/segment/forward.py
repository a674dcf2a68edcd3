"""The network's forward pass, layer by layer, on the kernels that are fastest for it; a door to torch beside nnunet.

torch sends single volumes of few channels through its slow convolution and copies every normalised one. The same layers
through oneDNN, channels last, with instance norm from plain means, take about half the CPU time and give the same
float32 numbers to rounding. Elsewhere (GPU, half precision) the plain network runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeGuard

if TYPE_CHECKING:  # torch takes seconds to import: only what computes with it pays
    import torch
    from dynamic_network_architectures.architectures.unet import PlainConvUNet, ResidualEncoderUNet
    from dynamic_network_architectures.building_blocks.simple_conv_blocks import ConvDropoutNormReLU
    from torch import nn

Precision = Literal["float32", "bfloat16", "float16"]
PRECISIONS: tuple[Precision, ...] = ("float32", "bfloat16", "float16")


def best_precision(device: str) -> Precision:
    """The precision that a device computes fastest without loss that matters: CUDA half, CPU bfloat16 where it has it.

    Without the instructions (AVX512-BF16, AMX) bfloat16 on a CPU is fifty times slower than float32, not faster.
    """
    import torch

    if device.startswith("cuda"):
        return "float16"
    return "bfloat16" if torch.ops.mkldnn._is_mkldnn_bf16_supported() else "float32"


def run_network(
    network: PlainConvUNet | ResidualEncoderUNet, tiles: torch.Tensor, precision: Precision
) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Logits (n, label, z, y, x) and the encoder's stages of tiles (n, channel, z, y, x) on the network's device."""
    import torch

    device = tiles.device.type
    batch = tiles.contiguous(memory_format=torch.channels_last_3d)
    with torch.inference_mode():
        if precision == "float32" and device == "cpu" and _is_plain(network) and torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
            return _singly(network, batch)
        with torch.autocast(device, getattr(torch, precision), enabled=precision != "float32"):
            skips = network.encoder(batch)
            return network.decoder(skips), skips


def _is_plain(network: nn.Module) -> TypeGuard[PlainConvUNet]:
    """Whether a network is the one that is written out below, and no other with parts of the same name."""
    from dynamic_network_architectures.architectures.unet import PlainConvUNet

    return type(network) is PlainConvUNet


def _singly(network: PlainConvUNet, batch: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Each tile by itself: a batch gains nothing on a CPU, and the norm below is that of one tile."""
    import torch

    if len(batch) == 1:
        return _by_layers(network, batch)
    each = [_by_layers(network, batch[i : i + 1]) for i in range(len(batch))]
    skips = [torch.cat(stage) for stage in zip(*(skips for _, skips in each), strict=True)]
    return torch.cat([logits for logits, _ in each]), skips


def _by_layers(network: PlainConvUNet, batch: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
    import torch

    skips, current = [], batch
    for stage in network.encoder.stages:
        for block in _blocks(stage):
            current = _block(block, current)
        skips.append(current)
    decoder = network.decoder
    for depth, (up, stage) in enumerate(zip(decoder.transpconvs, decoder.stages, strict=True)):
        current = torch.cat([up(current), skips[-2 - depth]], dim=1)
        for block in _parts(stage.convs):
            current = _block(block, current)
    return _convolved(decoder.seg_layers[-1], current), skips


def _blocks(stage: nn.Module) -> list[ConvDropoutNormReLU]:
    """The convolution blocks of an encoder stage (nnU-Net wraps them twice)."""
    return [block for stacked in _parts(stage) for block in _parts(stacked.convs)]


def _parts(module: Any) -> list[Any]:  # noqa: ANN401 (torch does not say what its containers hold)
    return list(module)


def _block(block: ConvDropoutNormReLU, current: torch.Tensor) -> torch.Tensor:
    """Convolution, instance norm, leaky ReLU of one tile.

    Mean, then spread about it: a group norm would be as fast and lose three digits to the difference of squares.
    """
    from torch.nn import functional

    norm: Any = block.norm
    nonlin: Any = block.nonlin
    current = _convolved(block.conv, current)
    current.sub_(current.mean(dim=(2, 3, 4), keepdim=True))
    variance = (current * current).mean(dim=(0, 2, 3, 4))
    scaled = functional.batch_norm(
        current, variance.new_zeros(variance.shape), variance, norm.weight, norm.bias, False, 0.0, norm.eps
    )
    return functional.leaky_relu_(scaled, nonlin.negative_slope)


def _convolved(conv: nn.Conv3d, current: torch.Tensor) -> torch.Tensor:
    """A convolution by oneDNN whatever the size of its input."""
    import torch

    padding = [int(n) for n in conv.padding]
    return torch.mkldnn_convolution(current, conv.weight, conv.bias, padding, conv.stride, conv.dilation, conv.groups)
