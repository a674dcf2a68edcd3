"""Import of a foreign nnU-Net checkpoint: loaded without running it, kept as weights and a plain manifest."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from engine.segment.model import (
    Manifest,
    SegmentationModel,
    describe_model,
    file_sha256,
    manifest_sha256,
    models_home,
    write_manifest,
)
from engine.segment.nnunet import (
    CONFIGURATION,
    NETWORK_CLASSES,
    PLAIN_LAYERS,
    check_fits,
    load_safely,
    save_slim,
    tensors_of,
)
from store.records import RefusedError

TUMOUR_NAMES = ("tumour", "tumor", "lung_tumour", "lung_tumor", "cancer", "lung_cancer", "gtv", "nodule", "lesion")
LAYER_KEYS = ("features_per_stage", "kernel_sizes", "strides", "n_conv_per_stage", "n_conv_per_stage_decoder")
CHECKPOINT_FILE = "checkpoint"


def import_model(file: Path) -> SegmentationModel:
    """Register an nnU-Net v2 checkpoint (.pth) in models_home under the name of its file; returns its record.

    Accepted: one CT channel, PlainConvUNet, CTNormalization, plain labels with a background and a tumour. RefusedError
    otherwise, before anything is written: model_unsafe, model_weights, model_plan. Mirroring is not carried over.
    """
    if not file.is_file():
        raise _refused("model_weights", "there is no such file.")
    content = load_safely(file)
    tensors = tensors_of(_mapping(content.get("network_weights"), "network_weights"))
    manifest = _manifest(_mapping(content.get("init_args"), "init_args"), _name(file))
    check_fits(manifest, tensors)
    home = models_home()
    home.mkdir(parents=True, exist_ok=True)
    scratch = home / f".{os.getpid()}.pt"
    save_slim(tensors, scratch)
    manifest = manifest.model_copy(update={"weights_sha256": file_sha256(scratch)})
    path = home / f"{manifest_sha256(manifest)}.json"
    scratch.replace(path.with_suffix(".pt"))
    write_manifest(path, manifest)
    return describe_model(path)


def _manifest(init_args: Mapping[str, object], name: str) -> Manifest:
    """A manifest, still without the hash of its weights, from the plans in a checkpoint."""
    plans = _mapping(init_args.get("plans"), "plans")
    configurations = _mapping(plans.get("configurations"), "configurations")
    configuration = _mapping(configurations.get(str(init_args.get("configuration", CONFIGURATION))), "configuration")
    intensities = _mapping(plans.get("foreground_intensity_properties_per_channel"), "intensities")
    intensity = _mapping(intensities.get("0"), "intensities of channel 0")
    _check(configuration, plans, len(intensities))
    fields: dict[str, object] = {
        "name": name,
        "weights_sha256": "0" * 64,
        "architecture": _architecture(_mapping(configuration.get("architecture"), "architecture")),
        "spacing_mm": tuple(reversed(_list(configuration.get("spacing"), "spacing"))),
        "patch_zyx": configuration.get("patch_size"),
        "hu_low": intensity.get("percentile_00_5"),
        "hu_high": intensity.get("percentile_99_5"),
        "hu_mean": intensity.get("mean"),
        "hu_sd": intensity.get("std"),
        "labels": _labels(_mapping(_mapping(init_args.get("dataset_json"), "dataset").get("labels"), "labels")),
        "training": {"imported_from": "nnU-Net checkpoint", "dataset": str(plans.get("dataset_name", ""))[:200]},
        "trained_on": str(plans.get("dataset_name", "unknown"))[:200],
        "resampling": "nnunet",
    }
    try:
        return Manifest.model_validate(fields)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise _refused("model_plan", f"{'.'.join(map(str, first['loc']))}: {first['msg']}.") from error


def _check(configuration: Mapping[str, object], plans: Mapping[str, object], channels: int) -> None:
    """RefusedError unless the plans want what our inference does."""
    if channels != 1:
        raise _refused("model_plan", f"it wants {channels} image channels, not one CT.")
    if configuration.get("normalization_schemes") != ["CTNormalization"]:
        raise _refused("model_plan", "its intensities are not normalised as CT.")
    if list(_list(plans.get("transpose_forward", [0, 1, 2]), "transpose_forward")) != [0, 1, 2]:
        raise _refused("model_plan", "it was trained with exchanged axes.")


def _architecture(described: Mapping[str, object]) -> dict[str, object]:
    """Layer parameters as data; every class that the plans name must be the one of our allow-list."""
    if described.get("network_class_name") not in NETWORK_CLASSES.values():
        raise _refused("model_plan", "its network class is not on the list of allowed ones (PlainConvUNet).")
    layers = _mapping(described.get("arch_kwargs"), "arch_kwargs")
    for key, wanted in PLAIN_LAYERS.items():
        if layers.get(key) != wanted:
            raise _refused("model_plan", f"its {key} is not on the list of allowed ones.")
    return {"network": "PlainConvUNet", **{key: layers.get(key) for key in LAYER_KEYS}}


def _labels(labels: Mapping[str, object]) -> tuple[str, ...]:
    """Label names in order of value, the tumour by our name."""
    by_value = {value: str(name) for name, value in labels.items() if isinstance(value, int)}
    if sorted(by_value) != list(range(len(labels))):
        raise _refused("model_plan", "its labels are not plain values from 0 on (regions are not accepted).")
    named = tuple("tumour" if by_value[v].lower() in TUMOUR_NAMES else by_value[v] for v in range(len(labels)))
    if "tumour" not in named:
        raise _refused("model_plan", "none of its labels is a tumour.")
    return named


def _name(file: Path) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", file.stem)[:100] or CHECKPOINT_FILE


def _mapping(value: object, name: str) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise _refused("model_plan", f"it holds no {name}: it is not an nnU-Net v2 checkpoint.")
    return value


def _list(value: object, name: str) -> list[object]:
    if not isinstance(value, list | tuple):
        raise _refused("model_plan", f"its {name} is not a list.")
    return list(value)


def _refused(code: str, message: str) -> RefusedError:
    return RefusedError(code, "checkpoint", message, "Import the checkpoint_final.pth of an nnU-Net v2 training.")
