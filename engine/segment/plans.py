"""nnU-Net plans as data: a manifest from them, or a refusal; no name in them is ever imported or called.

nnU-Net itself looks up each class that its plans name and calls it. Here every name must be on a list.
"""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import ValidationError

from engine.segment.model import Axes, Manifest
from engine.segment.nnunet import CONFIGURATION, NETWORK_CLASSES, PLAIN_LAYERS
from store.records import RefusedError

TUMOUR_NAMES = ("tumour", "tumor", "lung_tumour", "lung_tumor", "cancer", "lung_cancer", "gtv", "nodule", "lesion")
SHAPE_KEYS = ("features_per_stage", "kernel_sizes", "strides", "n_conv_per_stage_decoder")
DEPTH_KEYS = {"PlainConvUNet": "n_conv_per_stage", "ResidualEncoderUNet": "n_blocks_per_stage"}
IMPORTED_KEYS = ("conv_op", "norm_op", "dropout_op", "nonlin")
RESAMPLERS = ("resample_data_or_seg_to_shape", "resample_torch_fornnunet", "resample_torch_simple")
NAMES: dict[str, tuple[str, ...]] = {
    "preprocessor_name": ("DefaultPreprocessor",),
    "resampling_fn_data": RESAMPLERS,
    "resampling_fn_seg": RESAMPLERS,
    "resampling_fn_probabilities": RESAMPLERS,
    "image_reader_writer": ("SimpleITKIO", "SimpleITKIOWithReorient", "NibabelIO", "NibabelIOWithReorient"),
}
LONGEST_NAME = 200
TURNING_READERS = ("SimpleITKIOWithReorient", "NibabelIOWithReorient")  # they turn every image to RAS


def manifest_of(init_args: Mapping[str, object], name: str, axes: Axes | None = None) -> Manifest:
    """A manifest, still without the hash of its weights, from `plans`, `configuration` and `dataset_json`.

    axes: where x, y, z of its training images ran to; by default RAS if its reader turns images, else LPS. Accepted:
    one CT channel, a network of NETWORK_CLASSES in three dimensions, CTNormalization, plain labels with a background
    and a tumour. RefusedError(model_plan) otherwise.
    """
    plans = mapping(init_args.get("plans"), "plans")
    configurations = mapping(plans.get("configurations"), "configurations")
    chosen = init_args.get("configuration", CONFIGURATION)
    configuration = mapping(configurations.get(chosen) if isinstance(chosen, str) else None, "configuration")
    intensities = mapping(plans.get("foreground_intensity_properties_per_channel"), "intensities")
    dataset = mapping(init_args.get("dataset_json"), "dataset")
    intensity = mapping(intensities.get("0"), "intensities of channel 0")
    _check_channels(len(intensities), dataset)
    _check(configuration, plans)
    return _validated(
        {
            "name": name,
            "weights_sha256": "0" * 64,
            "architecture": _architecture(configuration),
            "spacing_mm": tuple(reversed(_list(configuration.get("spacing"), "spacing"))),
            "patch_zyx": configuration.get("patch_size"),
            "hu_low": intensity.get("percentile_00_5"),
            "hu_high": intensity.get("percentile_99_5"),
            "hu_mean": intensity.get("mean"),
            "hu_sd": intensity.get("std"),
            "labels": _labels(mapping(dataset.get("labels"), "labels")),
            "training": {"imported_from": "nnU-Net checkpoint", "dataset": _dataset_name(plans)},
            "trained_on": _dataset_name(plans) or "unknown",
            "axes": axes or _axes(plans),
            **_resampling(configuration),
        }
    )


def _resampling(configuration: Mapping[str, object]) -> dict[str, object]:
    """How images come to the spacing: nnU-Net's default of order 3 or its linear ones, a coarse axis apart or not."""
    named = configuration.get("resampling_fn_data", RESAMPLERS[0])
    settings = mapping(configuration.get("resampling_fn_data_kwargs", {}), "resampling_fn_data_kwargs")
    apart = settings.get("force_separate_z")
    if apart is not None and apart is not False:
        raise refused_plan("it resamples the first axis apart whatever the spacing is.")
    if named == RESAMPLERS[0]:
        if settings.get("order", 3) != 3:
            raise refused_plan("it resamples images by another order than nnU-Net's 3.")
        return {"resampling": "nnunet", "coarse_axis_apart": apart is None}
    if settings.get("mode", "linear") != "linear":
        raise refused_plan("it resamples images neither by splines nor linearly.")
    return {"resampling": "nnunet_linear", "coarse_axis_apart": named == RESAMPLERS[1] and apart is None}


def mapping(value: object, name: str) -> Mapping[str, object]:
    """A value that must be a dictionary; RefusedError(model_plan) otherwise."""
    if not isinstance(value, dict):
        raise refused_plan(f"it holds no {name}: it is not of nnU-Net v2.")
    return value


def refused_plan(message: str) -> RefusedError:
    """The refusal of plans that do not describe a network that may be built here."""
    return RefusedError(
        "model_plan", "checkpoint", message, "Import the checkpoint_final.pth of an nnU-Net v2 training."
    )


def _validated(fields: dict[str, object]) -> Manifest:
    try:
        return Manifest.model_validate(fields)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise refused_plan(f"{'.'.join(map(str, first['loc']))}: {first['msg']}.") from error


def _dataset_name(plans: Mapping[str, object]) -> str:
    """Its text; what is nested would be spelled out at any length."""
    name = plans.get("dataset_name", "")
    return name[:LONGEST_NAME] if isinstance(name, str) else ""


def _axes(plans: Mapping[str, object]) -> Axes:
    return "RAS" if plans.get("image_reader_writer") in TURNING_READERS else "LPS"


def _check_channels(intensities: int, dataset: Mapping[str, object]) -> None:
    """RefusedError unless there is one image channel."""
    named = dataset.get("channel_names")
    channels = len(named) if isinstance(named, dict) else intensities
    if channels != 1 or intensities != 1:
        raise refused_plan(f"it wants {max(channels, intensities)} image channels, not one CT.")


def _check(configuration: Mapping[str, object], plans: Mapping[str, object]) -> None:
    """RefusedError unless the plans want what our inference does and name nothing else."""
    if configuration.get("normalization_schemes") != ["CTNormalization"]:
        raise refused_plan("its intensities are not normalised as CT.")
    if list(_list(plans.get("transpose_forward", [0, 1, 2]), "transpose_forward")) != [0, 1, 2]:
        raise refused_plan("it was trained with exchanged axes.")
    if len(_list(configuration.get("spacing"), "spacing")) != 3:
        raise refused_plan("it is a model of single slices (2d); volumes are needed.")
    if configuration.get("previous_stage") not in (None, ""):
        raise refused_plan("it is the second stage of a cascade.")
    for key, allowed in NAMES.items():
        for named in (configuration.get(key), plans.get(key)):
            if named is not None and named not in allowed:
                raise refused_plan(f"its {key} is not on the list of allowed ones ({', '.join(allowed)}).")


def _architecture(configuration: Mapping[str, object]) -> dict[str, object]:
    """Layer parameters as data; every class that the plans name must be one of our allow-list."""
    described = mapping(configuration.get("architecture") or _of_old_plans(configuration), "architecture")
    network = next((k for k, v in NETWORK_CLASSES.items() if v == described.get("network_class_name")), None)
    if network is None:
        raise refused_plan(f"its network class is not on the list of allowed ones ({', '.join(NETWORK_CLASSES)}).")
    layers = mapping(described.get("arch_kwargs"), "arch_kwargs")
    _check_layers(layers, described.get("_kw_requires_import", []), DEPTH_KEYS[network])
    shapes = {key: layers.get(key) for key in SHAPE_KEYS}
    return {"network": network, **shapes, "n_conv_per_stage": layers.get(DEPTH_KEYS[network])}


def _check_layers(layers: Mapping[str, object], imported: object, depth_key: str) -> None:
    """RefusedError when plans name a layer, or a parameter of the network, beyond the plain ones."""
    for key in _list(imported, "_kw_requires_import"):
        if key not in IMPORTED_KEYS:
            raise refused_plan("its _kw_requires_import names a parameter that is not on the list of allowed ones.")
    known = {*PLAIN_LAYERS, *SHAPE_KEYS, depth_key, "n_stages", "deep_supervision"}
    if set(layers) - known:
        raise refused_plan("its arch_kwargs hold a parameter that is not on the list of allowed ones.")
    for key, wanted in PLAIN_LAYERS.items():
        if layers.get(key) != wanted:
            raise refused_plan(f"its {key} is not on the list of allowed ones.")


def _of_old_plans(configuration: Mapping[str, object]) -> dict[str, object]:
    """The architecture of plans written before nnU-Net 2.3, which spread it over the configuration."""
    kernels = _list(configuration.get("conv_kernel_sizes"), "architecture")
    base, most = configuration.get("UNet_base_num_features"), configuration.get("unet_max_num_features")
    if not isinstance(base, int) or not isinstance(most, int):
        raise refused_plan("it holds no architecture: it is not of nnU-Net v2.")
    network = str(configuration.get("UNet_class_name"))
    layers: dict[str, object] = {
        "features_per_stage": [min(base * 2**stage, most) for stage in range(len(kernels))],
        "kernel_sizes": kernels,
        "strides": configuration.get("pool_op_kernel_sizes"),
        DEPTH_KEYS.get(network, "n_conv_per_stage"): configuration.get("n_conv_per_stage_encoder"),
        "n_conv_per_stage_decoder": configuration.get("n_conv_per_stage_decoder"),
        **PLAIN_LAYERS,
    }
    return {"network_class_name": NETWORK_CLASSES.get(network), "arch_kwargs": layers}


def _labels(labels: Mapping[str, object]) -> tuple[str, ...]:
    """Label names in order of value, the tumour by our name."""
    if "ignore" in labels:
        raise refused_plan("it was trained with an ignore label, which is not offered.")
    by_value = {value: str(name) for name, value in labels.items() if isinstance(value, int)}
    if sorted(by_value) != list(range(len(labels))):
        raise refused_plan("its labels are not plain values from 0 on (regions are not accepted).")
    named = tuple("tumour" if by_value[v].lower() in TUMOUR_NAMES else by_value[v] for v in range(len(labels)))
    if "tumour" not in named:
        raise refused_plan("none of its labels is a tumour.")
    return named


def _list(value: object, name: str) -> list[object]:
    if not isinstance(value, list | tuple):
        raise refused_plan(f"its {name} is not a list.")
    return list(value)
