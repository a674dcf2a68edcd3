"""One CT through one model: crop to the chest, resample, sweep, export; what does not fit is tried smaller.

Memory: beside the CT and its label map, the normalised crop on the model's grid, and sums over the depth of one tile.
"""

from __future__ import annotations

import functools
import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from engine.geometry import Box, cropped_grid
from engine.protocol import Segment
from engine.segment.chest_box import ChestBox, find_chest, whole_image
from engine.segment.export import LabelMap
from engine.segment.forward import Precision
from engine.segment.model import SegmentationModel, fold_paths
from engine.segment.nnunet import LoadedModel, TooLargeError, load_model, usable_device
from engine.segment.resampling import Labels, Passage, Volume, facing, facing_grid, passage, to_model
from engine.segment.sliding_window import Shape, Slab, Sweep, Window
from engine.segment.tumour_doubt import Bits, Doubtful, doubtful_bits
from engine.segment.uncertainty import TumourVoxels, tumour_voxels
from store.records import RefusedError
from store.volumes import BoolZyx, CtSeries, Grid

CPU, CUDA = "cpu", "cuda"
HALVINGS = 2
TILES_PER_BATCH = {CPU: 1, CUDA: 4}  # on a CPU a batch gains nothing


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """What a sweep found: a label map on the CT's grid, and on the model's grid of the swept box what it was unsure of.

    Feature cell i of an axis covers the voxels of `grid` from i * feature_stride on.
    """

    labels: Labels
    grid: Grid
    tumour: TumourVoxels
    doubtful: Doubtful
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
    device: str
    window: Window
    fallback: str


def predict(ct: CtSeries, choices: Segment, model: SegmentationModel) -> Prediction:
    """The model's label map of a CT, on the GPU when there is one.

    When memory runs out: one tile at a time, then smaller tiles, then the CPU; what was needed is recorded.
    RefusedError from a model that may not be loaded, and (out_of_memory) when nothing fits.
    """

    wanted = usable_device(choices.device)

    def reload(device: str) -> LoadedModel:
        chosen = None if choices.precision == "auto" or device != wanted else choices.precision
        files = (Path(model.manifest_path), *fold_paths(model))
        written = tuple(path.stat().st_mtime_ns for path in files if path.is_file())
        return _kept_model(model, device, chosen, choices.folds, written)

    started = time.perf_counter()
    try:
        loaded, forced = reload(wanted), ""
    except TooLargeError:
        if wanted == CPU:
            raise _nothing_fits() from None
        loaded, forced = reload(CPU), CPU
    return within_memory(ct, loaded, choices, reload, time.perf_counter() - started, forced)


@functools.lru_cache(1)
def _kept_model(
    model: SegmentationModel, device: str, precision: Precision | None, folds: int, _written: tuple[int, ...]
) -> LoadedModel:
    """The model of the case before, for as long as its files are as they were."""
    return load_model(model, device, precision, folds)


def within_memory(
    ct: CtSeries,
    loaded: LoadedModel,
    choices: Segment,
    reload: Callable[[str], LoadedModel],
    seconds_read: float = 0.0,
    forced: str = "",
) -> Prediction:
    """As `predict`, by a model that is loaded; `reload` brings it to another device.

    `forced`: the fallback that was needed to load it at all.
    """
    for attempt in _attempts(loaded, choices):
        try:
            model = loaded if attempt.device == loaded.device else reload(attempt.device)
            return predict_with(ct, model, attempt.window, choices, seconds_read, attempt.fallback or forced)
        except TooLargeError:
            continue
    raise _nothing_fits()


def _nothing_fits() -> RefusedError:
    return RefusedError(
        "out_of_memory",
        "CT",
        "the model does not fit the memory, even in small tiles on the CPU.",
        "Use a machine with more memory, or a smaller model.",
    )


def predict_with(
    ct: CtSeries, loaded: LoadedModel, window: Window, choices: Segment, seconds_read: float = 0.0, fallback: str = ""
) -> Prediction:
    """The label map of a CT by a loaded model in one way; TooLargeError when that does not fit the memory."""
    manifest = loaded.manifest
    clock = [time.perf_counter()]
    view = facing(ct.intensity_hu, ct.grid, manifest.axes)
    way = passage(facing_grid(ct.grid, manifest.axes), manifest)
    cropped = not way.nnunet if choices.crop == "auto" else choices.crop
    chest = find_chest(view, way.native, choices.crop_margin_mm) if cropped else whole_image(way.native)
    box = _model_box(way, chest, window.tile_zyx)
    volume, before = _padded(to_model(view, way, box, manifest), window.tile_zyx, way.nnunet)
    clock.append(time.perf_counter())
    sweep = Sweep(volume, loaded, window)
    label_map = LabelMap(way, box)
    tumour, bits, exporting = _swept(sweep, label_map, _within(box, before), loaded.tumour_label)
    labels = np.empty(ct.grid.shape_zyx, dtype=np.uint8)
    facing(labels, ct.grid, manifest.axes)[...] = label_map.labels
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
    start = [side.start - n for side, n in zip(box, before, strict=True)]
    padded = tuple(slice(s, s + n) for s, n in zip(start, volume.shape, strict=True))
    grid = cropped_grid(way.model, (padded[0], padded[1], padded[2]))
    doubtful = Doubtful(bits, cropped_grid(way.model, box))
    return Prediction(labels, grid, tumour, doubtful, sweep.features, sweep.feature_stride, swept)


def _swept(sweep: Sweep, label_map: LabelMap, inside: Box, tumour_label: int) -> tuple[TumourVoxels, Bits, float]:
    """Write what of a sweep lies inside its padding to the label map; tumour, doubt, and the seconds it took."""
    found, bits, exporting = [], [], 0.0
    for slab in sweep.slabs():
        started = time.perf_counter()
        kept = _part(slab, inside)
        if kept.logits.shape[1]:
            label_map.add(kept.logits)
            found.append(tumour_voxels(kept, (inside[1].start, inside[2].start), tumour_label))
            bits.append(doubtful_bits(kept))
        exporting += time.perf_counter() - started
    return TumourVoxels.joined(found), np.concatenate(bits), exporting


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
    """Tiles of an eighth of the volume, again and again; each axis a multiple of the total stride, at least two."""
    for _ in range(HALVINGS):
        z, y, x = (min(n, max(2 * s, n // 2 // s * s)) for n, s in zip(tile, stride, strict=True))
        tile = (z, y, x)
        yield tile


def _model_box(way: Passage, chest: ChestBox, tile: Shape) -> Box:
    """The box of the model's grid to sweep; where it is smaller than a tile it takes in what is around it."""
    sides = []
    for axis, (side, wanted) in enumerate(zip(chest.box, tile, strict=True)):
        scale = way.native.spacing_zyx_mm[axis] / way.model.spacing_zyx_mm[axis]
        length = way.model.shape_zyx[axis]
        low, high = int(side.start * scale), min(length, int(np.ceil(side.stop * scale)))
        low = max(0, low - max(0, wanted - (high - low)) // 2)
        high = min(length, max(high, low + wanted))
        sides.append(slice(max(0, min(low, high - wanted)), high))
    return (sides[0], sides[1], sides[2])


def _padded(volume: Volume, tile: Shape, as_nnunet: bool) -> tuple[Volume, Shape]:
    """The volume grown to a tile, and the voxels before it: nnU-Net's zeros all round, else the far ends continued."""
    missing = [max(0, t - n) for n, t in zip(volume.shape, tile, strict=True)]
    z, y, x = (m // 2 if as_nnunet else 0 for m in missing)
    if not any(missing):
        return volume, (z, y, x)
    ends = [(before, m - before) for before, m in zip((z, y, x), missing, strict=True)]
    return np.pad(volume, ends, mode="constant" if as_nnunet else "edge"), (z, y, x)


def _within(box: Box, before: Shape) -> Box:
    """Where a box lies in its padded volume."""
    z, y, x = (slice(n, n + side.stop - side.start) for side, n in zip(box, before, strict=True))
    return (z, y, x)


def _part(slab: Slab, inside: Box) -> Slab:
    """The part of a slab that lies in a box of the volume."""
    low = max(0, inside[0].start - slab.start)
    z = slice(low, max(low, inside[0].stop - slab.start))
    part = (slice(None), z, inside[1], inside[2])
    return Slab(slab.start + low, slab.logits[part], slab.tumour[part])


def mask_of(prediction: Prediction, label: int) -> BoolZyx:
    """Where a label was found, on the CT's grid."""
    return np.asarray(prediction.labels == label)
