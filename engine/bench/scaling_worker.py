"""One point of the scaling bench: `python -m engine.bench.scaling_worker SHARED WHAT SIDE COUNT`.

Makes its input, says ready, waits for a line on stdin, measures, prints one JSON object.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from engine.bench.extraction_worker import measured, warm_up
from engine.bench.memory import peak_mb
from engine.bench.phantom_rois import phantom_image, randomised, roi_mask
from engine.bench.real_cases import chosen, real_case, real_sources
from engine.geometry import box_of, cropped_grid
from engine.measure.extraction import extract_features, extract_perturbed
from engine.measure.feature_image import FeatureImage
from engine.protocol import FeatureGrid, Features, Rois
from store.records import PerturbedImage, PerturbedMask, RoiMask
from store.volumes import BoolZyx, CtSeries, Grid, Mask, PerturbedMasks, RoiMasks

ROI = "intratumoural"
CASE_SHAPE = (48, 48, 48)
CASE_RADIUS = 10
NOISE_SD_HU = 150.0
Job = Callable[[], None]


def main(shared: Path, what: str, side: str, count: int) -> None:
    """Measure one point and print what it took."""
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    warm_up("engine" if side == "engine" else "peer-crop")
    job, voxels = _job(shared, what, side, count)
    _say("ready")
    sys.stdin.readline()
    clock, cpu = time.perf_counter(), time.process_time()
    job()
    found = {"seconds": time.perf_counter() - clock, "cpu_seconds": time.process_time() - cpu, "peak_mb": peak_mb()}
    _say(json.dumps(found | ({"voxels": voxels} if voxels else {})))


def _say(words: str) -> None:
    sys.stdout.write(f"{words}\n")
    sys.stdout.flush()


def _job(shared: Path, what: str, side: str, count: int) -> tuple[Job, int]:
    """What to time, and the voxels of its mask where they are what is counted."""
    if what == "masks":
        return _perturbed(shared, count), 0
    if what == "cases":
        return lambda: _cases(count), 0
    image, mask = _mask_of(shared, count)
    engine_side = "engine" if side == "engine" else "peer-crop"
    return lambda: _measure(engine_side, image, mask), int(np.count_nonzero(mask))


def _measure(side: str, image: FeatureImage, mask: BoolZyx) -> None:
    measured(side, image, [mask])


def _mask_of(shared: Path, count: int) -> tuple[FeatureImage, BoolZyx]:
    """The core of so many voxels of the IBSI CT's tumour; both lungs of LUNG1-001 where it has fewer."""
    image, tumour = phantom_image(shared)
    if count > np.count_nonzero(tumour):
        return _both_lungs(shared)
    depth = np.where(tumour, ndimage.distance_transform_edt(tumour), 0.0)
    deepest = np.argsort(depth, axis=None, kind="stable")[-count:]
    mask = np.zeros(tumour.shape, dtype=np.bool_)
    mask.ravel()[deepest] = True
    return image, mask


def _both_lungs(shared: Path) -> tuple[FeatureImage, BoolZyx]:
    with tempfile.TemporaryDirectory() as folder:
        source = next(chosen(real_sources(shared, Path(folder)), ("LUNG1-001",)))
        case = real_case(source, Path(folder))
    return case.image, dict(case.rois)["whole_lung"]


def _perturbed(shared: Path, count: int) -> Job:
    """The stage perturbed_features on so many randomised contours of the 33 ml core, each in its own box."""
    image, tumour = phantom_image(shared)
    core = roi_mask("small", image, tumour)
    masks, records = [], []
    for place, voxels in enumerate(randomised(core, image.grid.spacing_zyx_mm, count)):
        name, box = f"contour-{place}", box_of(voxels)
        masks.append(Mask(ROI, "perturbed", name, voxels[box].copy(), cropped_grid(image.grid, box)))
        records.append(PerturbedMask(ROI, name, "random", "contour", "{}", 0.9, 0.0, True))
    ct, stored = CtSeries(image.intensity_hu, image.grid), PerturbedMasks(tuple(masks))
    return lambda: _extract(ct, stored, tuple(records))


def _extract(ct: CtSeries, masks: PerturbedMasks, records: tuple[PerturbedMask, ...]) -> None:
    unchanged = tuple(PerturbedImage(record.perturbation) for record in records)
    extract_perturbed(ct, masks, records, unchanged, FeatureGrid(), Features(), Rois())


def _cases(count: int) -> None:
    """The stage features on so many cases one after the other."""
    grid = Grid(CASE_SHAPE, (1.0, 1.0, 1.0), (0.0, 0.0, 0.0))
    z, y, x = np.indices(CASE_SHAPE) - CASE_SHAPE[0] // 2
    ball = z**2 + y**2 + x**2 <= CASE_RADIUS**2
    masks = RoiMasks((Mask(ROI, "independent", "bench", ball, grid),))
    region = RoiMask(ROI, "ok", "reference", None, int(ball.sum()), 0.0, None, False, "none", 0.0, 0)
    for seed in range(count):
        noise = np.random.default_rng(seed).normal(-200.0, NOISE_SD_HU, CASE_SHAPE)
        extract_features(CtSeries(noise.astype(np.int16), grid), masks, (region,), FeatureGrid(), Features(), Rois())


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4]))
