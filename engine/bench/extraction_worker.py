"""One side of the extraction bench in a process of its own: `python -m engine.bench.extraction_worker SIDE IN OUT`.

SIDE is engine, or peer-crop or peer-whole for PyRadiomics 3.0.1. IN holds image and masks; OUT gets the values, CPU
seconds of the extraction alone (compiled code loaded and imports done) and the peak memory of the process.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from engine.measure.feature_image import FeatureImage
from engine.measure.features import measure_rois
from engine.measure.levels import Binning
from engine.metrics.recipe import recipe_named
from store.volumes import BoolZyx, Grid

RECIPE = "paper-1967"
BIN_WIDTH = 25.0
WARM_UP_SIZE = 24


def main(side: str, source: Path, target: Path) -> None:
    """Measure the masks of a file once and write what was found."""
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    with np.load(source) as loaded:
        intensity = loaded["intensity_hu"]
        masks = [np.unpackbits(bits, count=intensity.size).reshape(intensity.shape) > 0 for bits in loaded["masks"]]
        grid = Grid(intensity.shape[::-1], tuple(loaded["spacing_mm"]), (0.0, 0.0, 0.0))
    image = FeatureImage(intensity, np.zeros((0, 0, 0), dtype=np.bool_), grid)
    warm_up(side)
    started = time.process_time()
    values = measured(side, image, masks)
    seconds = time.process_time() - started
    np.savez(target, values=values, cpu_seconds=seconds, peak_mb=peak_mb())


def peak_mb() -> float:
    """Largest resident memory of this process; getrusage would count the parent's, from before the program began."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return float(line.split()[1]) / 1024.0
    raise RuntimeError("peak memory is read from VmHWM in /proc/self/status, which this system lacks")


def measured(side: str, image: FeatureImage, masks: list[BoolZyx]) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """The vectors (masks, 1967) of one side: engine, peer-crop or peer-whole."""
    recipe = recipe_named(RECIPE)
    if side == "engine":
        return np.stack([roi.values for roi in measure_rois(image, masks, recipe, Binning(BIN_WIDTH))])
    from engine.measure.radiomics import pyradiomics_features

    found = [
        pyradiomics_features(image.intensity_hu, m, image.grid.spacing_mm, recipe, BIN_WIDTH, crop=side == "peer-crop")
        for m in masks
    ]
    return np.stack(found)


def warm_up(side: str) -> None:
    """One tiny mask, so that imports and loading of compiled code are not timed on either side."""
    shape = (WARM_UP_SIZE,) * 3
    noise = np.random.default_rng(0).integers(-900, 300, shape).astype(np.int16)
    mask = np.zeros(shape, dtype=np.bool_)
    mask[8:16, 8:16, 8:16] = True
    measured(side, FeatureImage(noise, mask, Grid(shape, (1.0, 1.0, 1.0), (0.0, 0.0, 0.0))), [mask, mask])


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
