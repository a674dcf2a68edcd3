"""The recipe that trained the demo model, as data, and the run of it: real nnU-Net network, loss and step.

Patches are drawn here rather than by nnU-Net's loader, which picks the class of a foreground patch uniformly: the
tumour would be the centre of a third of them only.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from engine.geometry import resample_mask
from engine.segment.image_key import image_key
from engine.segment.model import (
    SHIPPED_FOLDER,
    Architecture,
    Manifest,
    SeenByFold,
    SegmentationModel,
    describe_model,
    file_sha256,
    read_manifest,
    write_manifest,
)
from engine.segment.nnunet import Trainer, threads
from engine.segment.sliding_window import model_grid, to_model_grid
from store.volumes import CtSeries, MaskSet

Volume = NDArray[np.float32]
Rounded = NDArray[np.int16]
Labels = NDArray[np.uint8]
Whole = TypeVar("Whole", np.int16, np.uint8)
LABELS = ("background", "lung_left", "lung_right", "tumour")
STAGES = 5
PLAIN_UNET = Architecture(
    network="PlainConvUNet",
    features_per_stage=(8, 16, 32, 64, 96),
    kernel_sizes=((3, 3, 3),) * STAGES,
    strides=((1, 1, 1),) + ((2, 2, 2),) * (STAGES - 1),
    n_conv_per_stage=(1, 2, 2, 2, 2),
    n_conv_per_stage_decoder=(1, 1, 1, 1),
)
LOG_EVERY = 50
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a model is trained; intensities of augmentation are in units of the normalised image.

    No mirroring: left and right are labels. The learning rate is constant and then falls to nothing in a straight
    line, so that a training can be drawn out before its fall.
    """

    iterations: int = 7000
    falling_iterations: int = 5000  # the last of them, with a falling learning rate
    batch: int = 2  # torch convolves single volumes several times slower
    learning_rate: float = 2e-3  # AdamW
    tumour_patch_share: float = 0.67  # patches centred near a tumour voxel; the others anywhere
    small_tumour_power: float = 0.33  # tumours are drawn by their volume to the minus so much
    tumour_bias: float = 3.0  # taken from its logit in the end: patches hold much more tumour than images do
    centre_jitter_voxels: int = 12
    largest_noise_sd: float = 0.1
    contrast_range: float = 0.06
    brightness_sd: float = 0.04
    blur_share: float = 0.15
    largest_blur_voxels: float = 0.5
    spacing_mm: float = 3.0
    hu_low: float = -1000.0
    hu_high: float = 400.0
    patch_zyx: tuple[int, int, int] = (48, 64, 80)
    tile_zyx: tuple[int, int, int] = (96, 96, 112)  # of inference: nearly a whole phantom
    seed: int = 20250617
    torch_threads: int = 1
    save_every: int = 100

    def rate(self, update: int) -> float:
        """The learning rate of an update, from 0 on."""
        return self.learning_rate * min(1.0, max(0.0, (self.iterations - update) / self.falling_iterations))


DEMO_RECIPE = Recipe()
DEMO_START = SHIPPED_FOLDER / "start" / "demo.json"  # not a model to be named: what DEMO_RECIPE goes on from


def recipe_of(iterations: int, recipe: Recipe = DEMO_RECIPE) -> Recipe:
    """A recipe over another number of iterations, the same share of them falling; ValueError under one."""
    if iterations < 1:
        raise ValueError(f"iterations must be at least 1, got {iterations}")
    falling = max(1, round(recipe.falling_iterations * iterations / recipe.iterations))
    return replace(recipe, iterations=iterations, falling_iterations=falling)


@dataclass(frozen=True, slots=True, eq=False)
class TrainingCase:
    """One CT with the masks of its lungs and, where it has one, its tumour, on the CT's grid."""

    ct: CtSeries
    masks: MaskSet


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """One case on the model grid: HU, label values, the indices (n, 3) of its tumour voxels, its image key."""

    intensity_hu: Rounded
    labels: Labels
    tumour_index: NDArray[np.int64]
    image: str


def train_demo_model(
    cases: Iterable[TrainingCase],
    out: Path,
    name: str,
    trained_on: str,
    recipe: Recipe = DEMO_RECIPE,
    start: Path | None = None,
) -> SegmentationModel:
    """Train a model on cases and write `<name>.json` and `<name>.pt` into the folder `out`; returns its record.

    start: the manifest of a model of the same network and labels whose weights and mean and sd of HU are taken over;
    without it the weights are drawn. The same cases, recipe, start, torch build and thread count give the same
    weights. The manifest lists every image that was seen, those of the start included where they are known. ValueError
    without a tumour.
    """
    prepared = [prepare(case, recipe.spacing_mm) for case in cases]
    if not any(len(case.tumour_index) for case in prepared):
        raise ValueError("cases must hold at least one tumour, got none")
    manifest = _manifest(prepared, name, trained_on, recipe)
    seen = {case.image for case in prepared}
    if start is not None:
        manifest = started_from(manifest, read_manifest(start))
        seen |= {image for fold in read_manifest(start).folds for image in fold.saw}
    weights = out / f"{name}.pt"
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{name}.json"
    with threads(recipe.torch_threads):
        trainer = Trainer(manifest, recipe.batch, recipe.rate, recipe.seed)
        if start is not None:
            trainer.start_from(start.with_suffix(".pt"))
        for done in _fit(prepared, manifest, recipe, trainer):
            trainer.save(weights, LABELS.index("tumour"), recipe.tumour_bias)
            _describe_weights(path, weights, manifest, done, seen)
    return describe_model(path)


def started_from(manifest: Manifest, start: Manifest) -> Manifest:
    """A manifest with the mean and sd of HU of the model that its training starts from, and the hash of its weights."""
    training = {**manifest.training, "start_weights_sha256": start.weights_sha256}
    return manifest.model_copy(update={"hu_mean": start.hu_mean, "hu_sd": start.hu_sd, "training": training})


def _describe_weights(path: Path, weights: Path, manifest: Manifest, done: int, seen: set[str]) -> None:
    """Write the manifest of the weights after so many iterations, with the images that they saw."""
    sha256 = file_sha256(weights)
    changes = {
        "weights_sha256": sha256,
        "training": {**manifest.training, "iterations_done": done},
        "folds": (SeenByFold(weights_sha256=sha256, saw=tuple(sorted(seen))),),
    }
    write_manifest(path, manifest.model_copy(update=changes))


def prepare(case: TrainingCase, spacing_mm: float) -> Prepared:
    """A case resampled to the model's grid as inference does it, with later labels painted over earlier ones."""
    grid = model_grid(case.ct.grid, (spacing_mm,) * 3)
    labels = np.zeros(grid.shape_zyx, dtype=np.uint8)
    for value, structure in enumerate(LABELS):
        for mask in case.masks.masks:
            if mask.structure == structure:
                labels[resample_mask(mask.voxels, mask.grid, grid)] = value
    tumour = np.argwhere(labels == LABELS.index("tumour"))
    intensity = np.rint(to_model_grid(case.ct, grid)).astype(np.int16)
    return Prepared(intensity, labels, tumour, image_key(case.ct))


def _manifest(cases: list[Prepared], name: str, trained_on: str, recipe: Recipe) -> Manifest:
    """The manifest of a model still without weights; mean and sd of the clipped foreground.

    The window is fixed: percentiles of a foreground that is nearly all lung would cut soft tissue off.
    """
    foreground = np.concatenate([case.intensity_hu[case.labels > 0] for case in cases])
    foreground = np.clip(foreground, recipe.hu_low, recipe.hu_high)
    training = {k: v if isinstance(v, int | float) else str(v) for k, v in asdict(recipe).items()}
    return Manifest(
        name=name,
        weights_sha256="0" * 64,
        architecture=PLAIN_UNET,
        spacing_mm=(recipe.spacing_mm,) * 3,
        patch_zyx=recipe.tile_zyx,
        hu_low=recipe.hu_low,
        hu_high=recipe.hu_high,
        hu_mean=round(float(foreground.mean()), 1),
        hu_sd=round(float(foreground.std()), 1),
        labels=LABELS,
        training={**training, "cases": len(cases), "tumours": sum(len(c.tumour_index) > 0 for c in cases)},
        trained_on=trained_on,
    )


def _fit(cases: list[Prepared], manifest: Manifest, recipe: Recipe, trainer: Trainer) -> Iterator[int]:
    """Run all iterations; gives the iterations done, every `save_every` and at the end."""
    rng = np.random.default_rng(recipe.seed)
    losses: list[float] = []
    for done in range(1, recipe.iterations + 1):
        losses.append(trainer.step(*draw_batch(cases, manifest, recipe, rng)))
        if done % LOG_EVERY == 0:
            log.info("iteration %d loss %.3f", done, np.mean(losses[-LOG_EVERY:]))
        if done % recipe.save_every == 0 or done == recipe.iterations:
            yield done


def draw_batch(
    cases: list[Prepared], manifest: Manifest, recipe: Recipe, rng: np.random.Generator
) -> tuple[Volume, Rounded]:
    """Augmented, normalised patches and their labels, both (n, 1, z, y, x)."""
    tiles, labels = [], []
    for _ in range(recipe.batch):
        intensity, values = _draw(cases, recipe, rng)
        tiles.append(_augment(manifest.normalised(intensity), recipe, rng))
        labels.append(values)
    return np.stack(tiles)[:, None], np.stack(labels)[:, None].astype(np.int16)


def _draw(cases: list[Prepared], recipe: Recipe, rng: np.random.Generator) -> tuple[Volume, Labels]:
    """One patch in HU and its labels."""
    with_tumour = [i for i, case in enumerate(cases) if len(case.tumour_index)]
    on_tumour = rng.random() < recipe.tumour_patch_share
    if on_tumour:
        weights = np.array([len(cases[i].tumour_index) for i in with_tumour]) ** -recipe.small_tumour_power
        chosen = int(rng.choice(with_tumour, p=weights / weights.sum()))
    else:
        chosen = int(rng.integers(len(cases)))
    case, size = cases[chosen], recipe.patch_zyx
    patch = np.array(size)
    room = np.array(case.labels.shape) - patch
    start = rng.integers(0, np.maximum(room, 0) + 1)
    if on_tumour:
        centre = case.tumour_index[rng.integers(len(case.tumour_index))]
        jitter = rng.integers(-recipe.centre_jitter_voxels, recipe.centre_jitter_voxels + 1, 3)
        start = np.clip(centre - patch // 2 + jitter, 0, np.maximum(room, 0))
    box = tuple(slice(int(s), int(s + p)) for s, p in zip(start, patch, strict=True))
    return _filled(case.intensity_hu[box], size).astype(np.float32), _filled(case.labels[box], size)


def _filled(array: NDArray[Whole], size: tuple[int, int, int]) -> NDArray[Whole]:
    """Pad a patch at its far ends where the case is smaller than the patch."""
    missing = [(0, p - s) for p, s in zip(size, array.shape, strict=True)]
    return np.pad(array, missing, mode="edge") if any(after for _, after in missing) else array


def _augment(tile: Volume, recipe: Recipe, rng: np.random.Generator) -> Volume:
    """Contrast, brightness, blur and noise, drawn first and then applied."""
    contrast = 1 + recipe.contrast_range * rng.uniform(-1, 1)
    brightness = rng.normal(0, recipe.brightness_sd)
    blur = rng.uniform(0.3, recipe.largest_blur_voxels) if rng.random() < recipe.blur_share else 0.0
    noise = rng.uniform(0, recipe.largest_noise_sd)
    image = ndimage.gaussian_filter(tile, blur, truncate=2.0) if blur else tile
    image = image * np.float32(contrast) + np.float32(brightness)
    return image + np.float32(noise) * rng.standard_normal(image.shape, dtype=np.float32)
