"""One CT through one model: crop to the chest, resample, sweep, export; what does not fit is tried smaller.

Memory: beside the CT and its label map, the normalised crop on the model's grid, and sums over the depth of one tile.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from engine.geometry import Box, cropped_grid
from engine.protocol import Segment
from engine.segment.chest_box import ChestBox, find_chest, whole_image
from engine.segment.export import LabelMap
from engine.segment.model import Manifest, SegmentationModel
from engine.segment.nnunet import LoadedModel, TooLargeError, load_model
from engine.segment.resampling import Labels, Passage, Volume, facing, facing_grid, passage, to_model
from engine.segment.sliding_window import Shape, Slab, Sweep, Window
from engine.segment.uncertainty import TumourVoxels, tumour_voxels
from store.records import RefusedError
from store.volumes import BoolZyx, CtSeries, Grid, VolumeZyx

CPU = "cpu"
HALVINGS = 2
TILES_PER_BATCH = {CPU: 1, "cuda": 4}  # on a CPU a batch gains nothing


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """What a sweep found: a label map on the CT's grid, and on the model's grid of the swept box what it was unsure of.

    Feature cell i of an axis covers the voxels of `grid` from i * feature_stride on.
    """

    labels: Labels
    grid: Grid
    tumour: TumourVoxels
    features: Volume
    feature_stride: Shape
    swept: Swept


@dataclass(frozen=True, slots=True)
class Swept:
    """How a prediction was made: where, by what, and wall-clock seconds of its steps."""

    device: str
    precision: str
    window: Window
    tiles: int
    members: int
    drawn_around: str
    swept_share: float  # of the CT's voxels in the box
    fallback: str  # "" | smaller tiles | cpu
    seconds_read: float
    seconds_resample: float
    seconds_network: float
    seconds_export: float


@dataclass(frozen=True, slots=True)
class _Attempt:
    device: str | None
    window: Window
    fallback: str


def predict(ct: CtSeries, choices: Segment, model: SegmentationModel) -> Prediction:
    """The model's label map of a CT, on the GPU when there is one.

    When memory runs out: one tile at a time, then smaller tiles, then the CPU; what was needed is recorded.
    RefusedError from a model that may not be loaded, and (out_of_memory) when nothing fits.
    """
    started = time.perf_counter()
    loaded = _loaded(model, choices, None if choices.device == "auto" else choices.device)
    read = time.perf_counter() - started
    for attempt in _attempts(loaded, choices):
        if attempt.device != loaded.device:
            loaded = _loaded(model, choices, attempt.device)
        try:
            return predict_with(ct, loaded, attempt.window, choices, read, attempt.fallback)
        except TooLargeError:
            continue
    raise RefusedError(
        "out_of_memory",
        "CT",
        f"the model does not fit the memory, even in tiles of {_sized(attempt.window.tile_zyx)} voxels on the CPU.",
        "Use a machine with more memory, or a smaller model.",
    )


def predict_with(
    ct: CtSeries, loaded: LoadedModel, window: Window, choices: Segment, seconds_read: float = 0.0, fallback: str = ""
) -> Prediction:
    """The label map of a CT by a loaded model in one way; TooLargeError when that does not fit the memory."""
    manifest = loaded.manifest
    clock = [time.perf_counter()]
    view, way = facing(ct.intensity_hu, ct.grid), passage(facing_grid(ct.grid), manifest)
    chest = find_chest(view, way.native, choices.crop_margin_mm) if choices.crop else whole_image(way.native)
    volume, box = _input(view, way, chest, manifest, window)
    clock.append(time.perf_counter())
    sweep = Sweep(volume, loaded, window)
    label_map = LabelMap(way, box)
    tumour, exporting = _swept(sweep, label_map, box, loaded.tumour_label)
    labels = np.empty(ct.grid.shape_zyx, dtype=np.uint8)
    facing(labels, ct.grid)[...] = label_map.labels
    clock.append(time.perf_counter())
    resample, both = (float(b - a) for a, b in itertools.pairwise(clock))
    swept = Swept(
        device=loaded.device,
        precision=loaded.precision,
        window=window,
        tiles=len(sweep.corners),
        members=loaded.members(window.mirrors),
        drawn_around=chest.drawn_around,
        swept_share=chest.voxels / view.size,
        fallback=fallback,
        seconds_read=seconds_read,
        seconds_resample=resample,
        seconds_network=both - exporting,
        seconds_export=exporting,
    )
    return Prediction(labels, cropped_grid(way.model, box), tumour, sweep.features, sweep.feature_stride, swept)


def _swept(sweep: Sweep, label_map: LabelMap, box: Box, tumour_label: int) -> tuple[TumourVoxels, float]:
    """Write every slab of a sweep to the label map; the tumour's voxels, and the seconds that writing took."""
    found, exporting = [], 0.0
    inside = tuple(slice(0, side.stop - side.start) for side in box)
    for slab in sweep.slabs():
        started = time.perf_counter()
        kept = _without_padding(slab, inside)
        label_map.add(kept.logits)
        found.append(tumour_voxels(kept, tumour_label))
        exporting += time.perf_counter() - started
    return TumourVoxels.joined(found), exporting


def _attempts(loaded: LoadedModel, choices: Segment) -> Iterator[_Attempt]:
    """From what is wanted to what needs least memory; stops being asked as soon as one fits."""
    tile, device = loaded.manifest.patch_zyx, loaded.device
    batch = TILES_PER_BATCH.get(device.split(":")[0], 1)
    whole = Window(tile, choices.tile_step_share, choices.mirrors, batch)
    smaller = list(_smaller_tiles(tile, loaded.manifest.architecture.total_stride))
    yield _Attempt(device, whole, "")
    if batch > 1:
        yield _Attempt(device, replace(whole, batch=1), "smaller tiles")
    for size in smaller:
        yield _Attempt(device, replace(whole, batch=1, tile_zyx=size), "smaller tiles")
    if device != CPU:
        for size in (tile, *smaller):
            yield _Attempt(CPU, replace(whole, batch=1, tile_zyx=size), CPU)


def _smaller_tiles(tile: Shape, stride: Shape) -> Iterator[Shape]:
    """Tiles of an eighth of the volume, again and again, each axis a multiple of the total stride."""
    for _ in range(HALVINGS):
        z, y, x = (max(s, n // 2 // s * s) for n, s in zip(tile, stride, strict=True))
        tile = (z, y, x)
        yield tile


def _loaded(model: SegmentationModel, choices: Segment, device: str | None) -> LoadedModel:
    precision = None if choices.precision == "auto" else choices.precision
    return load_model(model, device, precision, choices.folds)


def _input(view: VolumeZyx, way: Passage, chest: ChestBox, manifest: Manifest, window: Window) -> tuple[Volume, Box]:
    """The normalised volume to sweep, at least a tile large, and the box of the model's grid that it begins with."""
    sides = []
    for axis, (side, tile) in enumerate(zip(chest.box, window.tile_zyx, strict=True)):
        scale = way.native.spacing_zyx_mm[axis] / way.model.spacing_zyx_mm[axis]
        length = way.model.shape_zyx[axis]
        low, high = int(side.start * scale), min(length, int(np.ceil(side.stop * scale)))
        missing = max(0, tile - (high - low))  # a box smaller than a tile takes in what is around it
        low = max(0, low - missing // 2)
        high = min(length, max(high, low + tile))
        sides.append(slice(max(0, min(low, high - tile)), high))
    box = (sides[0], sides[1], sides[2])
    volume = to_model(view, way, box, manifest)
    return _padded(volume, window.tile_zyx), box


def _padded(volume: Volume, tile: Shape) -> Volume:
    """The volume with its far ends continued to a tile."""
    ends = [(0, max(0, t - n)) for n, t in zip(volume.shape, tile, strict=True)]
    return np.pad(volume, ends, mode="edge") if any(end for _, end in ends) else volume


def _without_padding(slab: Slab, inside: tuple[slice, ...]) -> Slab:
    """The part of a slab in the swept box."""
    z = slice(0, max(0, inside[0].stop - slab.start))
    part = (slice(None), z, *inside[1:])
    return Slab(slab.start, slab.logits[part], slab.tumour[part])


def _sized(tile: Shape) -> str:
    return " x ".join(str(n) for n in tile)


def mask_of(prediction: Prediction, label: int) -> BoolZyx:
    """Where a label was found, on the CT's grid."""
    return np.asarray(prediction.labels == label)
