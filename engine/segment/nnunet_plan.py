"""nnU-Net's fingerprint, planning and preprocessing, case by case in this process: its own code, without its pools.

nnU-Net's command line opens process pools that start the calling program anew; here its per-case functions are called
directly, and what its own `run` does with their results is done on records.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from engine.geometry import to_image
from engine.segment.model import Architecture, Manifest
from engine.segment.nnunet import CONFIGURATION, NETWORK_CLASSES, PLAIN_LAYERS
from engine.segment.sliding_window import oriented
from engine.training_protocol import Train
from store.records import DeclinedError
from store.volumes import CaseFingerprint, CtSeries, Grid, ct_key

Labels = NDArray[np.int16]
Json = dict[str, object]
PLANS_NAME = "cohortscopePlans"
RAW = "raw"
PLANNING_DATASET = "Dataset001_Anatomy"
FILE_ENDING = ".nii.gz"
PLACES = "_places.npy"  # beside a prepared case: where its labels lie
NAME_DIGITS = 16
FOREGROUND_SAMPLES = 10_000  # a case, nnU-Net's default
PERCENTILES = (0.5, 50.0, 99.5)
TUMOUR = "tumour"


def fingerprint(ct: CtSeries, labels: Labels) -> CaseFingerprint:
    """What nnU-Net notes of one case: size, spacing and a sample of the HU of its foreground (labels z, y, x, > 0)."""
    from nnunetv2.experiment_planning.dataset_fingerprint.fingerprint_extractor import DatasetFingerprintExtractor
    from nnunetv2.preprocessing.cropping.cropping import crop_to_nonzero

    data, marked, spacing = arrays_of(ct, labels)
    cropped, cropped_labels, _ = crop_to_nonzero(data, marked)
    samples, _ = DatasetFingerprintExtractor.collect_foreground_intensities(
        cropped_labels, cropped, num_samples=FOREGROUND_SAMPLES
    )
    return CaseFingerprint(
        shape_zyx=tuple(int(n) for n in cropped.shape[1:]),
        spacing_zyx_mm=tuple(spacing),
        relative_size=float(cropped[0].size / data[0].size),
        foreground_hu=np.asarray(samples[0], dtype=np.float32),
    )


def arrays_of(ct: CtSeries, labels: Labels) -> tuple[NDArray[np.float32], Labels, list[float]]:
    """Image and labels (1, z, y, x) as nnU-Net reads them and the spacing z, y, x; axes turned as inference does."""
    image = oriented(to_image(ct.intensity_hu, ct.grid))
    marked = oriented(to_image(labels, ct.grid))
    spacing = [float(s) for s in reversed(image.GetSpacing())]
    data = np.asarray(sitk.GetArrayFromImage(image), dtype=np.float32)[None]
    return data, np.asarray(sitk.GetArrayFromImage(marked), dtype=np.int16)[None], spacing


def dataset_fingerprint(cases: Sequence[CaseFingerprint]) -> Json:
    """The fingerprint of a data set from those of its cases, as nnU-Net's extractor writes it; ValueError without."""
    if not cases or not any(case.foreground_hu.size for case in cases):
        raise ValueError("cases must hold at least one labelled voxel, got none")
    values = np.concatenate([case.foreground_hu for case in cases])
    low, median, high = np.percentile(values, PERCENTILES)
    intensities = {
        "mean": float(np.mean(values)),
        "median": float(median),
        "std": float(np.std(values)),
        "min": float(np.min(values)),
        "max": float(np.max(values)),
        "percentile_99_5": float(high),
        "percentile_00_5": float(low),
    }
    return {
        "spacings": [list(case.spacing_zyx_mm) for case in cases],
        "shapes_after_crop": [list(case.shape_zyx) for case in cases],
        "foreground_intensity_properties_per_channel": {"0": intensities},
        "median_relative_size_after_cropping": float(np.median([case.relative_size for case in cases])),
    }


def make_plans(cases: Sequence[CaseFingerprint], labels: Sequence[str], train: Train) -> Json:
    """nnU-Net's 3d_fullres plans for a data set, then resized to the features, patch and batch of the protocol.

    labels: names in order of value, the first is background. Where `train` names no size, nnU-Net's own stands.
    """
    with tempfile.TemporaryDirectory() as scratch, nnunet_folders(Path(scratch), Path(scratch), loader_processes=1):
        folders = [Path(scratch) / part / PLANNING_DATASET for part in (RAW, "")]
        for folder in folders:
            folder.mkdir(parents=True)
        _write_json(folders[0] / "dataset.json", dataset_json(labels, len(cases)))
        _write_json(folders[1] / "dataset_fingerprint.json", dataset_fingerprint(cases))
        plans = _planned()
    return _resized(plans, train)


def dataset_json(labels: Sequence[str], cases: int) -> Json:
    """nnU-Net's description of a data set; its cases are named, never read."""
    files = {f"c{n:04d}": f"c{n:04d}{FILE_ENDING}" for n in range(cases)}
    return {
        "channel_names": {"0": "CT"},
        "labels": {name: value for value, name in enumerate(labels)},
        "numTraining": cases,
        "file_ending": FILE_ENDING,
        "overwrite_image_reader_writer": "SimpleITKIO",
        "dataset": {name: {"images": [file], "label": file} for name, file in files.items()},
    }


def check_patch(plans: Json, train: Train) -> None:
    """DeclinedError unless the patch is a multiple of the network's total stride, with two cells or more at the bottom.

    nnU-Net plans both together; a protocol that names only one of them may not fit the other.
    """
    configuration = _part(_part(plans, "configurations"), CONFIGURATION)
    layers = _part(_part(configuration, "architecture"), "arch_kwargs")
    patch = np.array(configuration["patch_size"])
    stride = np.prod(np.array(layers["strides"]), axis=0)
    if not (patch % stride).any() and np.prod(patch // stride) > 1:
        return
    stages, sizes = layers["n_stages"], " x ".join(map(str, patch))
    whose = f"of train.features ({stages} stages)" if train.features else f"that nnU-Net plans ({stages} stages)"
    named = "train.patch_zyx" if train.patch_zyx else "the patch that nnU-Net plans"
    raise DeclinedError(
        f"{named}, {sizes} voxels, does not fit the network {whose}: each size must be a multiple of"
        f" {' x '.join(map(str, stride))}, and more than that along one axis; name train.features and train.patch_zyx"
        " together, or leave both empty"
    )


def _planned() -> Json:
    """Run nnU-Net's planner on the one data set of the folders; only 3d_fullres, axes as they are.

    Its variant that resamples linearly along all axes, which costs a tenth; the manifest says so to our inference.
    """
    from nnunetv2.experiment_planning.experiment_planners.resampling.resample_with_torch import nnUNetPlanner_torchres

    with contextlib.redirect_stdout(io.StringIO()):
        planner = nnUNetPlanner_torchres(PLANNING_DATASET, plans_name=PLANS_NAME, suppress_transpose=True)
        planner.lowres_creation_threshold = 0.0
        planner.plan_experiment()
    plans: Json = json.loads(json.dumps(planner.plans))
    kept = _part(plans, "configurations")[CONFIGURATION]
    return {**plans, "configurations": {CONFIGURATION: {**_checked(kept), "batch_dice": True}}}


def _resized(plans: Json, train: Train) -> Json:
    """The plans with the network, patch and batch that the protocol names."""
    configuration = dict(_part(_part(plans, "configurations"), CONFIGURATION))
    if train.features:
        configuration["architecture"] = {
            "network_class_name": NETWORK_CLASSES["PlainConvUNet"],
            "arch_kwargs": {**_layers(train.features), **PLAIN_LAYERS},
            "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
        }
    if train.patch_zyx:
        configuration["patch_size"] = list(train.patch_zyx)
    if train.batch:
        configuration["batch_size"] = train.batch
    return {**plans, "configurations": {CONFIGURATION: configuration}}


def _layers(features: Sequence[int]) -> Json:
    """A U-Net that halves every axis at every stage: one convolution in the first and in the decoder, else two."""
    stages = len(features)
    return {
        "n_stages": stages,
        "features_per_stage": list(features),
        "kernel_sizes": [[3, 3, 3]] * stages,
        "strides": [[1, 1, 1]] + [[2, 2, 2]] * (stages - 1),
        "n_conv_per_stage": [1] + [2] * (stages - 1),
        "n_conv_per_stage_decoder": [1] * (stages - 1),
    }


def fold_splits(names: Sequence[str], folds: int) -> list[list[str]]:
    """The names left out by each fold of nnU-Net's own cross-validation (shuffled k-fold, its fixed seed)."""
    from nnunetv2.utilities.crossval_split import generate_crossval_split

    return [[str(name) for name in split["val"]] for split in generate_crossval_split(sorted(names), n_splits=folds)]


def moved_plans(plans: Json, dataset: str) -> Json:
    """The same plans for another data set of the study, as nnU-Net moves plans: only the data set's name changes."""
    return {**plans, "dataset_name": dataset}


def prepared_name(ct: CtSeries, labels: Labels) -> str:
    """The name of a case that is prepared from these voxels and labels: another contour, another name."""
    state = hashlib.sha256(ct_key(ct).encode())
    state.update(np.ascontiguousarray(labels, dtype="<i2").data)
    return state.hexdigest()[:NAME_DIGITS]


def write_prepared(folder: Path, name: str, ct: CtSeries, labels: Labels, plans: Json, names: Sequence[str]) -> None:
    """Preprocess one case with nnU-Net (crop, normalise, resample, locate labels) into `folder`; once only.

    nnU-Net keeps the places of labels in a pickle, which runs code when it is read; here they are an array
    (`PLACES`). Files are written elsewhere and moved, the one that is looked for last, so that two processes may do
    the same.
    """
    from nnunetv2.training.dataloading.nnunet_dataset import comp_blosc2_params, nnUNetDatasetBlosc2
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    if (folder / f"{name}.b2nd").exists():
        return
    manager = PlansManager(dict(plans))
    configuration = manager.get_configuration(CONFIGURATION)
    data, marked, spacing = arrays_of(ct, labels)
    preprocessor = configuration.preprocessor_class(verbose=False)
    data, marked, facts = preprocessor.run_case_npy(
        data, marked, {"spacing": spacing}, manager, configuration, dataset_json(names, 1)
    )
    marked = marked.astype(np.int16, copy=False)
    blocks, chunks = comp_blosc2_params(data.shape, tuple(configuration.patch_size), data.itemsize)
    label_blocks, label_chunks = comp_blosc2_params(marked.shape, tuple(configuration.patch_size), marked.itemsize)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        stem = str(Path(scratch) / name)
        nnUNetDatasetBlosc2.save_case(
            data, marked, facts, stem, chunks=chunks, blocks=blocks, chunks_seg=label_chunks, blocks_seg=label_blocks
        )
        np.save(stem + PLACES, places_of(facts["class_locations"]))
        for suffix in (PLACES, "_seg.b2nd", ".b2nd"):
            Path(stem + suffix).replace(folder / f"{name}{suffix}")


def places_of(by_label: Mapping[int, NDArray[np.int64]]) -> NDArray[np.int64]:
    """nnU-Net's sample of every label's voxels as rows of label, channel, z, y, x."""
    rows = [np.column_stack([np.full(len(at), label), at]) for label, at in by_label.items() if len(at)]
    return np.concatenate(rows).astype(np.int64) if rows else np.zeros((0, 5), dtype=np.int64)


def manifest_of(plans: Json, labels: Sequence[str], name: str, trained_on: str) -> Manifest:
    """The manifest of a network of these plans, still without weights; ValueError for plans we do not run."""
    configuration = _part(_part(plans, "configurations"), CONFIGURATION)
    layers = _part(_part(configuration, "architecture"), "arch_kwargs")
    intensity = _part(_part(plans, "foreground_intensity_properties_per_channel"), "0")
    keys = ("features_per_stage", "kernel_sizes", "strides", "n_conv_per_stage", "n_conv_per_stage_decoder")
    spacing = configuration["spacing"]
    if not isinstance(spacing, list):
        raise ValueError(f"plans must hold a list of spacings, got {type(spacing).__name__}")
    return Manifest.model_validate(
        {
            "name": name,
            "weights_sha256": "0" * 64,
            "architecture": Architecture.model_validate({"network": "PlainConvUNet", **{k: layers[k] for k in keys}}),
            "spacing_mm": tuple(reversed(spacing)),
            "patch_zyx": configuration["patch_size"],
            "hu_low": intensity["percentile_00_5"],
            "hu_high": intensity["percentile_99_5"],
            "hu_mean": intensity["mean"],
            "hu_sd": intensity["std"],
            "labels": tuple(labels),
            "training": {},
            "trained_on": trained_on,
            "resampling": "nnunet_linear",
            "coarse_axis_apart": False,
        }
    )


@contextmanager
def nnunet_folders(prepared: Path, results: Path, loader_processes: int) -> Iterator[None]:
    """nnU-Net's environment inside: its folders, its processes, no compiler, no logging service."""
    wanted = {
        "nnUNet_raw": str(prepared / RAW),
        "nnUNet_preprocessed": str(prepared),
        "nnUNet_results": str(results),
        "nnUNet_n_proc_DA": str(loader_processes),
        "nnUNet_compile": "f",
        "nnUNet_wandb_enabled": "0",
    }
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def painted(masks: Mapping[str, NDArray[np.bool_]], names: Sequence[str], grid: Grid) -> Labels:
    """Label values z, y, x: a mask takes the place of its name, later names are painted over earlier ones."""
    labels = np.zeros(grid.shape_zyx, dtype=np.int16)
    for value, name in enumerate(names):
        if name in masks:
            labels[masks[name]] = value
    return labels


def _part(holder: Mapping[str, object], name: str) -> Json:
    return _checked(holder[name])


def _checked(value: object) -> Json:
    if not isinstance(value, dict):
        raise ValueError(f"plans must hold tables, got {type(value).__name__}")
    return value


def _write_json(path: Path, content: Json) -> None:
    path.write_text(json.dumps(content), encoding="utf-8")
