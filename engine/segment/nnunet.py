"""The only door to nnU-Net and torch: networks from plain manifests, weights loaded without running anything.

nnU-Net itself loads every checkpoint with an unpickler that runs code and calls what its plans name. Here a file of
weights may hold tensors and a short list of numpy scalars, and a network is built from an allow-list of layers.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import os
import pickle
import platform
import re
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from engine.segment.forward import Precision, best_precision, run_network
from engine.segment.model import Architecture, Manifest, SegmentationModel, file_sha256, fold_paths, read_manifest
from engine.segment.torch_file import check_torch_file
from store.records import RefusedError

if TYPE_CHECKING:  # torch takes seconds to import: only what computes with it pays
    import torch
    from dynamic_network_architectures.architectures.unet import PlainConvUNet, ResidualEncoderUNet

    UNet: TypeAlias = PlainConvUNet | ResidualEncoderUNet

Tiles = NDArray[np.float32]  # n, channel, z, y, x
Rate = Callable[[int], float]  # learning rate of an update, from 0 on
EMBEDDED_STAGE = 2
AXES = {"z": 2, "y": 3, "x": 4}  # of a batch of tiles
CPU_FILE = Path("/proc/cpuinfo")
MEMORY_GONE = ("can't allocate memory", "CUDA error: out of memory", "CUDNN_STATUS_ALLOC_FAILED")  # torch's words
LARGEST_WEIGHTS_BYTES = 2 << 30
NNUNET_FOLDER_VARIABLE = "nnUNet_results"
CONFIGURATION = "3d_fullres"
NETWORK_CLASSES = {
    name: f"dynamic_network_architectures.architectures.unet.{name}"
    for name in ("PlainConvUNet", "ResidualEncoderUNet")
}
PLAIN_LAYERS: dict[str, object] = {
    "conv_op": "torch.nn.modules.conv.Conv3d",
    "conv_bias": True,
    "norm_op": "torch.nn.modules.instancenorm.InstanceNorm3d",
    "norm_op_kwargs": {"eps": 1e-5, "affine": True},
    "dropout_op": None,
    "dropout_op_kwargs": None,
    "nonlin": "torch.nn.LeakyReLU",
    "nonlin_kwargs": {"inplace": True},
}
FIRST_LAYERS = ("encoder.stem.", "encoder.stages.0.0.convs.0.")  # of the residual and of the plain network
ALIASES = ("decoder.encoder.", ".all_modules.")
PLAIN_SCALARS = ("<f8", "<f4", "<i8")


def _plain_scalar(dtype: object, content: object = None) -> object:
    """What numpy's own rebuilding of a scalar gives for a plain number; ValueError for a type that may be any size."""
    if not isinstance(dtype, np.dtype) or dtype.str not in PLAIN_SCALARS:
        raise ValueError(f"a scalar must be one of {PLAIN_SCALARS}")
    if not isinstance(content, bytes) or len(content) != dtype.itemsize:
        raise ValueError(f"a scalar of {dtype} must have {dtype.itemsize} bytes")
    return np.frombuffer(content, dtype=dtype)[0]


SAFE_NUMPY: list[Any] = [
    *((_plain_scalar, f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")),
    np.dtype,
    np.dtypes.Float64DType,
    np.dtypes.Float32DType,
    np.dtypes.Int64DType,
]


class TooLargeError(RuntimeError):
    """A batch of tiles did not fit the device's memory; smaller tiles or another device may."""


@dataclass(frozen=True, slots=True, eq=False)
class TileOutput:
    """Of one batch of tiles, float32: mean logits (n, label, z, y, x) over the members, moments, encoder features.

    `tumour` (n, 2, z, y, x): mean over the members of the tumour's probability and of its square. Features: of stage
    EMBEDDED_STAGE of the first fold, not mirrored.
    """

    logits: Tiles
    tumour: Tiles
    features: Tiles


@dataclass(frozen=True, slots=True, eq=False)
class LoadedModel:
    """Networks in memory (one a fold), ready to predict, with their manifest, device and precision."""

    manifest: Manifest
    networks: tuple[UNet, ...]
    device: str
    precision: Precision = "float32"

    def forward(self, tiles: Tiles, mirrors: tuple[str, ...] = ()) -> TileOutput:
        """Outputs of normalised tiles (n, 1, z, y, x), each axis a multiple of the total stride.

        Members are all folds times all combinations of mirrored axes (z, y, x); a mirrored x exchanges labels that end
        in _left and _right. TooLargeError when the device's memory does not hold them.
        """
        with _memory_is_limited():
            return self._forward(tiles, mirrors)

    def _forward(self, tiles: Tiles, mirrors: tuple[str, ...]) -> TileOutput:
        import torch

        host = torch.from_numpy(np.ascontiguousarray(tiles, dtype=np.float32))
        batch = host.pin_memory().to(self.device, non_blocking=True) if self.device.startswith("cuda") else host
        outputs = [self._member(batch, network, axes) for network in self.networks for axes in _combinations(mirrors)]
        shares = [torch.softmax(logits, dim=1)[:, self.tumour_label] for logits, _ in outputs]
        moments = torch.stack([_mean(shares), _mean([share * share for share in shares])], dim=1)
        return TileOutput(
            _as_array(_mean([logits for logits, _ in outputs])), _as_array(moments), _as_array(outputs[0][1])
        )

    def _member(self, batch: torch.Tensor, network: UNet, axes: tuple[int, ...]) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits of one member where they belong, and its features."""
        import torch

        output, skips = run_network(network, torch.flip(batch, axes) if axes else batch, self.precision)
        logits = torch.flip(output.float(), axes) if axes else output.float()
        return (logits[:, self._exchanged()] if AXES["x"] in axes else logits), skips[EMBEDDED_STAGE]

    @property
    def network(self) -> UNet:
        """The first fold."""
        return self.networks[0]

    def members(self, mirrors: tuple[str, ...]) -> int:
        """How many predictions one tile is the mean of."""
        return len(self.networks) * len(_combinations(mirrors))

    @property
    def tumour_label(self) -> int:
        """The tumour's place among the labels."""
        return self.manifest.labels.index("tumour")

    def _exchanged(self) -> list[int]:
        """For each label the one that stands for it in a mirror."""
        labels = self.manifest.labels
        other = {"left": "right", "right": "left"}
        names = [re.sub("(left|right)$", lambda side: other[side.group()], name) for name in labels]
        return [labels.index(name) if name in labels else i for i, name in enumerate(names)]


def _mean(members: list[torch.Tensor]) -> torch.Tensor:
    return members[0] if len(members) == 1 else sum(members[1:], members[0]) / len(members)


def _combinations(mirrors: tuple[str, ...]) -> list[tuple[int, ...]]:
    """No axis, then every set of mirrored ones, as axes of a batch."""
    axes = [AXES[name] for name in mirrors]
    return [chosen for count in range(len(axes) + 1) for chosen in itertools.combinations(axes, count)]


@contextmanager
def _memory_is_limited() -> Iterator[None]:
    """Memory that ran out, of a GPU or of the host, as TooLargeError."""
    import torch

    try:
        yield
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise TooLargeError("out of memory") from error
    except RuntimeError as error:
        if not any(words in str(error) for words in MEMORY_GONE):
            raise
        raise TooLargeError("out of memory") from error
    finally:
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def load_model(
    model: SegmentationModel, device: str | None = None, precision: Precision | None = None, folds: int = 0
) -> LoadedModel:
    """A registered model, in evaluation mode, on a device (default: the GPU when there is one, else the CPU).

    `folds`: how many of its folds, 0 for all. Default precision: the device's best. RefusedError when manifest or
    weights are not what they say (model_manifest, model_hash, model_unsafe, model_weights).
    """
    import torch

    manifest = read_manifest(Path(model.manifest_path))
    chosen = device or default_device()
    wanted = (manifest.weights_sha256, *manifest.ensemble_sha256)[: folds or None]
    networks = tuple(_network(manifest, path, sha) for path, sha in zip(fold_paths(model), wanted, strict=False))
    with _memory_is_limited():
        placed = tuple(n.to(chosen, memory_format=torch.channels_last_3d).eval() for n in networks)
    return LoadedModel(manifest, placed, chosen, precision or best_precision(chosen))


def _network(manifest: Manifest, weights_path: Path, sha256: str) -> UNet:
    """The manifest's network with the weights of a file that must have the sha256."""
    if not weights_path.is_file():
        raise _refused("model_weights", "there is no file of weights beside the manifest.")
    if file_sha256(weights_path) != sha256:
        raise _refused("model_hash", "the weights are not those of the manifest (sha256 differs).")
    network = build_network(manifest.architecture, len(manifest.labels))
    _fill(network, tensors_of(load_safely(weights_path)))
    return network


def default_device() -> str:
    """`cuda` when torch sees a GPU, else `cpu`."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def usable_device(choice: str) -> str:
    """`auto`: the GPU when there is one; `cuda` where torch sees none is RefusedError(no_gpu)."""
    if choice == "auto":
        return default_device()
    if choice.startswith("cuda") and default_device() == "cpu":
        raise RefusedError(
            "no_gpu",
            "study.toml",
            "device is cuda, but torch sees no GPU on this machine.",
            'Set device = "auto" or "cpu", or run on a machine with a GPU and the CUDA build of torch.',
        )
    return choice


def hardware(device: str) -> str:
    """The name of a GPU, or of the processor."""
    import torch

    if device != "cpu":
        return str(torch.cuda.get_device_name(device))
    lines = CPU_FILE.read_text(encoding="utf-8").splitlines() if CPU_FILE.is_file() else []
    named = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "")
    return named or platform.processor() or platform.machine()


def thread_count() -> int:
    """How many threads torch computes with on the CPU."""
    import torch

    return int(torch.get_num_threads())


def build_network(architecture: Architecture, labels: int, deep_supervision: bool = False) -> UNet:
    """A network of nnU-Net (one input channel, instance norm, leaky ReLU) with random weights."""
    from dynamic_network_architectures.architectures.unet import PlainConvUNet, ResidualEncoderUNet
    from torch import nn

    layers: dict[str, Any] = {
        "input_channels": 1,
        "n_stages": len(architecture.features_per_stage),
        "features_per_stage": list(architecture.features_per_stage),
        "conv_op": nn.Conv3d,
        "kernel_sizes": [list(k) for k in architecture.kernel_sizes],
        "strides": [list(s) for s in architecture.strides],
        "num_classes": labels,
        "n_conv_per_stage_decoder": list(architecture.n_conv_per_stage_decoder),
        "conv_bias": True,
        "norm_op": nn.InstanceNorm3d,
        "norm_op_kwargs": {"eps": 1e-5, "affine": True},
        "nonlin": nn.LeakyReLU,
        "nonlin_kwargs": {"inplace": True},
        "deep_supervision": deep_supervision,
    }
    depth = list(architecture.n_conv_per_stage)
    network: UNet
    if architecture.network == "ResidualEncoderUNet":
        network = ResidualEncoderUNet(n_blocks_per_stage=depth, **layers)
    else:
        network = PlainConvUNet(n_conv_per_stage=depth, **layers)
    return network


def load_safely(path: Path) -> Mapping[str, object]:
    """The dictionary in a torch file: tensors, plain values and numpy scalars; anything else is refused unrun.

    RefusedError(model_unsafe) when the file names another global or unpacks, (model_weights) when it is no torch file.
    """
    import torch

    check_torch_file(path)
    try:
        with torch.serialization.safe_globals(SAFE_NUMPY):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise _refused("model_unsafe", "it holds more than tensors and numbers; nothing in it was run.") from error
    except (RuntimeError, EOFError, OSError, ValueError, zipfile.BadZipFile) as error:
        raise _refused("model_weights", "it is not a readable torch file.") from error
    if not isinstance(content, dict):
        raise _refused("model_weights", "it does not hold a dictionary.")
    return content


def tensors_of(content: Mapping[str, object]) -> dict[str, torch.Tensor]:
    """The named tensors of a dictionary; RefusedError when it holds anything else."""
    import torch

    tensors = {str(key): value for key, value in content.items() if isinstance(value, torch.Tensor)}
    if not tensors or len(tensors) != len(content):
        raise _refused("model_weights", "it must hold named tensors only.")
    return tensors


def save_slim(tensors: Mapping[str, torch.Tensor], path: Path) -> None:
    """Write weights once each (nnU-Net names most twice) as float16; the tensors of a network or of a checkpoint."""
    import torch

    slim = {k: v.detach().cpu().half().contiguous() for k, v in tensors.items() if not _is_alias(k)}
    torch.save(slim, path)


def _fill(network: UNet, tensors: Mapping[str, torch.Tensor]) -> None:
    """Copy weights into a network; RefusedError unless every layer gets exactly one tensor of its shape."""
    import torch

    wanted = {k: v for k, v in network.state_dict().items() if not _is_alias(k)}
    given = {k: v for k, v in tensors.items() if not _is_alias(k)}
    if set(wanted) != set(given):
        raise _refused("model_weights", "its layers are not those of the manifest's network.")
    _check_channels(given)
    for name, target in wanted.items():
        if target.shape != given[name].shape:
            raise _refused("model_weights", "its layers have other sizes than the manifest's network.")
        if not bool(torch.isfinite(given[name]).all()):
            raise _refused("model_weights", "it holds weights that are not finite.")
        target.copy_(given[name].float())


def _check_channels(given: Mapping[str, torch.Tensor]) -> None:
    """RefusedError unless the first convolution reads one image."""
    kernels = ((name, tensor) for name, tensor in given.items() if tensor.ndim == 5)
    first = next((tensor for name, tensor in kernels if name.startswith(FIRST_LAYERS)), None)
    if first is not None and first.shape[1] != 1:
        raise _refused("model_weights", f"its network reads {first.shape[1]} image channels; a study gives one CT.")


def check_fits(manifest: Manifest, tensors: Mapping[str, torch.Tensor]) -> None:
    """RefusedError unless the tensors fill the manifest's network."""
    _fill(build_network(manifest.architecture, len(manifest.labels)), tensors)


def _is_alias(name: str) -> bool:
    return any(alias in name for alias in ALIASES)


def _as_array(tensor: torch.Tensor) -> Tiles:
    return np.ascontiguousarray(tensor.float().cpu().numpy(), dtype=np.float32)


def _refused(code: str, message: str) -> RefusedError:
    return RefusedError(code, "model weights", message, "Import an nnU-Net checkpoint of a source that you trust.")


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Let torch use `count` threads inside; before and after it uses what OMP_NUM_THREADS says."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class Trainer:
    """nnU-Net's own trainer (its network, deep-supervision Dice + cross-entropy loss and step) fed batch by batch.

    nnU-Net's class finder, file layout and data loaders stay out: the trainer is made here from a manifest.
    """

    def __init__(self, manifest: Manifest, batch: int, rate: Rate, seed: int) -> None:
        import torch

        torch.manual_seed(seed)
        with tempfile.TemporaryDirectory() as scratch:
            self._trainer = _nnunet_trainer(nnunet_plans(manifest, batch), manifest.labels, scratch)
        self._strides = [
            tuple(round(1 / share) for share in scale) for scale in self._trainer._get_deep_supervision_scales()
        ]
        network = self._trainer.network.to(memory_format=torch.channels_last_3d)
        optimizer = torch.optim.AdamW(network.parameters(), rate(0), weight_decay=self._trainer.weight_decay)
        self._trainer.optimizer = optimizer
        self._schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda i: rate(i) / rate(0))
        network.train()

    def start_from(self, weights: Path) -> None:
        """Take the weights of a file over; RefusedError unless they fill the network."""
        _fill(self._trainer.network, tensors_of(load_safely(weights)))

    def step(self, tiles: Tiles, labels: NDArray[np.int16]) -> float:
        """One update from normalised tiles and labels, both (n, 1, z, y, x); returns the loss before it."""
        import torch

        target = torch.from_numpy(labels)
        targets = [target[:, :, z // 2 :: z, y // 2 :: y, x // 2 :: x] for z, y, x in self._strides]
        data = torch.from_numpy(tiles).contiguous(memory_format=torch.channels_last_3d)
        loss = self._trainer.train_step({"data": data, "target": targets})["loss"]
        self._schedule.step()
        return float(loss)

    def save(self, path: Path, label: int, bias: float) -> None:
        """Write the weights, slim, with `bias` taken from a label's logit."""
        weights = {name: tensor.detach().clone() for name, tensor in self._trainer.network.state_dict().items()}
        weights[f"decoder.seg_layers.{len(self._strides) - 1}.bias"][label] -= bias
        save_slim(weights, path)


def nnunet_plans(manifest: Manifest, batch: int) -> dict[str, object]:
    """A manifest in the words of an nnU-Net plans file."""
    architecture = manifest.architecture
    layers: dict[str, object] = {
        "n_stages": len(architecture.features_per_stage),
        **architecture.model_dump(mode="json", exclude={"network"}),
        **PLAIN_LAYERS,
    }
    if architecture.network == "ResidualEncoderUNet":
        layers["n_blocks_per_stage"] = layers.pop("n_conv_per_stage")
    configuration = {
        "data_identifier": CONFIGURATION,
        "preprocessor_name": "DefaultPreprocessor",
        "batch_size": batch,
        "batch_dice": True,
        "patch_size": list(manifest.patch_zyx),
        "spacing": list(reversed(manifest.spacing_mm)),
        "normalization_schemes": ["CTNormalization"],
        "use_mask_for_norm": [False],
        "architecture": {
            "network_class_name": NETWORK_CLASSES[architecture.network],
            "arch_kwargs": layers,
            "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
        },
    }
    return {
        "dataset_name": "Dataset001_Cohortscope",
        "plans_name": "cohortscopePlans",
        "configurations": {CONFIGURATION: configuration},
        "label_manager": "LabelManager",
        "continue_training": False,
    }


def _nnunet_trainer(plans: dict[str, object], labels: tuple[str, ...], scratch: str) -> Any:  # noqa: ANN401 (nnU-Net is not typed)
    """nnU-Net's trainer with network and loss built; its messages go nowhere, its files to a scratch folder."""
    import torch

    os.environ[NNUNET_FOLDER_VARIABLE] = scratch
    with contextlib.redirect_stdout(io.StringIO()):
        from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

        dataset = {"channel_names": {"0": "CT"}, "labels": {name: i for i, name in enumerate(labels)}}
        trainer = nnUNetTrainer(plans, CONFIGURATION, "all", {**dataset, "file_ending": ".nii.gz"}, torch.device("cpu"))
        trainer.network = trainer.build_network_architecture(
            trainer.plans_manager, trainer.configuration_manager, 1, len(labels), True
        )
        trainer.loss = trainer._build_loss()
    return trainer
