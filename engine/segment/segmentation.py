"""Stage `segment`: the tumour by the study's model, the lungs by outline, model or threshold, in this order."""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass, replace

from engine.metrics.margins import largest_components
from engine.protocol import Segment
from engine.segment.embedding import encoder_features, no_features
from engine.segment.lung_quality import LungQuality
from engine.segment.lungs import find_lungs
from engine.segment.model import SegmentationModel
from engine.segment.nnunet import LoadedModel, load_model
from engine.segment.out_of_fold import unseen_member
from engine.segment.sliding_window import (
    Logits,
    mean_entropy,
    model_grid,
    predict_logits,
    structure_mask,
    to_model_grid,
    without_crumbs,
)
from store.records import Flag, Segmentation
from store.volumes import AutomaticMasks, BoolZyx, CtSeries, EncoderFeatures, Grid, Mask, ReferenceMasks

LUNGS = ("lung_left", "lung_right")
SMALLEST_TUMOUR_ML = 0.05
SMALLEST_LUNG_ML = 100.0
SOURCE_DIGITS = 12
THRESHOLD_SOURCE = "threshold"


@dataclass(frozen=True, slots=True)
class Segmented:
    """What was segmented: masks on the native grid, how, the encoder's features of the whole CT, and flags."""

    masks: AutomaticMasks
    segmentation: tuple[Segmentation, ...]
    features: EncoderFeatures
    flags: tuple[Flag, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Prediction:
    """One run of a model: its masks by structure on the native grid and its record, lungs not yet decided."""

    masks: dict[str, BoolZyx]
    record: Segmentation
    features: EncoderFeatures


@dataclass(frozen=True, slots=True)
class _LungChoice:
    """The lung masks that were made and by which method; the one side that was outlined, where it was but one."""

    masks: tuple[Mask, ...]
    method: str  # outlined | model | threshold | none
    outlined: str = ""  # lung_left | lung_right
    quality: LungQuality | None = None  # of thresholded ones


def segment(ct: CtSeries, references: ReferenceMasks, choices: Segment, model: SegmentationModel | None) -> Segmented:
    """Automatic masks of one case, on the CT's grid.

    With a model there is always one mask `tumour` (origin automatic, lesion 0, source = first 12 digits of the model's
    sha256): every voxel called tumour, pieces under 0.05 ml dropped; it is empty when none is found. Lungs: nothing is
    made where both are outlined, and the other alone where one is (flag one_lung_outlined); else the model's; else
    threshold (flag lungs_threshold); else none (flag no_lungs). Seconds in the record are wall-clock and enter no key.
    A model that was trained on this image is replaced by the fold of its family that left it out (out_of_fold.py).
    RefusedError from a model that may not be loaded.
    """
    prediction = None if model is None else _predict(ct, choices, unseen_member(model, ct))
    tumour = _tumour(references, prediction)
    lungs = _lungs(ct, references, choices, prediction, tumour)
    record = prediction.record if prediction else _without_model(lungs.method)
    return Segmented(
        masks=AutomaticMasks((*_tumour_masks(prediction, ct.grid), *lungs.masks)),
        segmentation=(_with_lungs(record, lungs.method),),
        features=prediction.features if prediction else no_features(),
        flags=_flags(lungs, prediction),
    )


def _predict(ct: CtSeries, choices: Segment, model: SegmentationModel) -> _Prediction:
    """Resample, predict and export, timing each."""
    clock = [time.perf_counter()]
    loaded = load_model(model)
    clock.append(time.perf_counter())
    grid = model_grid(ct.grid, loaded.manifest.spacing_mm)
    volume = loaded.manifest.normalised(to_model_grid(ct, grid))
    clock.append(time.perf_counter())
    logits = predict_logits(volume, grid, loaded, choices.tile_step_share)
    clock.append(time.perf_counter())
    masks = _masks(logits, loaded, ct.grid)
    on_model_grid = _tumour_on_model_grid(logits, loaded)
    clock.append(time.perf_counter())
    read, resample, network, export = (float(b - a) for a, b in itertools.pairwise(clock))
    record = Segmentation(
        model_sha256=model.sha256,
        device=loaded.device,
        seconds_read=read,
        seconds_resample=resample,
        seconds_network=network,
        seconds_export=export,
        tumour_found=bool(masks["tumour"].any()),
        mean_entropy=mean_entropy(logits.values, on_model_grid),
        lungs_method="none",
    )
    return _Prediction(masks, record, encoder_features(logits, model.sha256))


def _masks(logits: Logits, loaded: LoadedModel, native: Grid) -> dict[str, BoolZyx]:
    """The model's tumour and lungs on the native grid: of the tumour crumbs are dropped, a lung is one piece."""
    found = {
        name: structure_mask(logits, loaded.manifest.labels.index(name), native)
        for name in ("tumour", *LUNGS)
        if name in loaded.manifest.labels
    }
    smallest = {"tumour": SMALLEST_TUMOUR_ML, **dict.fromkeys(LUNGS, SMALLEST_LUNG_ML)}
    whole = {name: mask if name == "tumour" else largest_components(mask) for name, mask in found.items()}
    return {name: without_crumbs(mask, native.voxel_ml, smallest[name]) for name, mask in whole.items()}


def _tumour_on_model_grid(logits: Logits, loaded: LoadedModel) -> BoolZyx:
    found = logits.values.argmax(axis=0) == loaded.manifest.labels.index("tumour")
    return without_crumbs(found, logits.grid.voxel_ml, SMALLEST_TUMOUR_ML)


def _tumour(references: ReferenceMasks, prediction: _Prediction | None) -> BoolZyx | None:
    """The tumour that thresholded lungs are closed over: the outlined one, else the predicted one."""
    outlined = references.find("tumour")
    if outlined is not None:
        return outlined.voxels
    return prediction.masks["tumour"] if prediction else None


def _tumour_masks(prediction: _Prediction | None, grid: Grid) -> tuple[Mask, ...]:
    if prediction is None:
        return ()
    source = prediction.record.model_sha256[:SOURCE_DIGITS]
    return (Mask("tumour", "automatic", source, prediction.masks["tumour"], grid),)


def _lungs(
    ct: CtSeries,
    references: ReferenceMasks,
    choices: Segment,
    prediction: _Prediction | None,
    tumour: BoolZyx | None,
) -> _LungChoice:
    """The first of outlined, model and threshold that gives lungs; beside one outlined lung they give the other."""
    missing = [name for name in LUNGS if references.find(name) is None]
    if not missing:
        return _LungChoice((), "outlined")
    found = _found_lungs(ct, choices, prediction, tumour)
    if len(missing) == len(LUNGS):
        return found
    (outlined,) = (mask for mask in map(references.find, LUNGS) if mask is not None)
    filled = [replace(m, voxels=m.voxels & ~outlined.voxels) for m in found.masks if m.structure in missing]
    kept = tuple(m for m in filled if m.voxels.any())
    method = found.method if kept else "outlined"
    return _LungChoice(kept, method, outlined.structure, found.quality if kept else None)


def _found_lungs(ct: CtSeries, choices: Segment, prediction: _Prediction | None, tumour: BoolZyx | None) -> _LungChoice:
    """Both lungs by the model, else by thresholding, else none."""
    if prediction is not None and all(name in prediction.masks and prediction.masks[name].any() for name in LUNGS):
        source = prediction.record.model_sha256[:SOURCE_DIGITS]
        return _LungChoice(_lung_masks([prediction.masks[name] for name in LUNGS], source, ct.grid), "model")
    found = find_lungs(ct, tumour) if choices.lungs_fallback else None
    if found is None:
        return _LungChoice((), "none")
    masks = _lung_masks([found.left, found.right], THRESHOLD_SOURCE, ct.grid)
    return _LungChoice(masks, "threshold", quality=found.quality)


def _lung_masks(voxels: list[BoolZyx], source: str, grid: Grid) -> tuple[Mask, ...]:
    return tuple(Mask(name, "automatic", source, v, grid) for name, v in zip(LUNGS, voxels, strict=True) if v.any())


def _without_model(lungs_method: str) -> Segmentation:
    return Segmentation("", "cpu", 0.0, 0.0, 0.0, 0.0, False, None, lungs_method)


def _with_lungs(record: Segmentation, lungs_method: str) -> Segmentation:
    return replace(record, lungs_method=lungs_method)


def _flags(lungs: _LungChoice, prediction: _Prediction | None) -> tuple[Flag, ...]:
    """What a reader should know of the masks."""
    flags = []
    if lungs.outlined:
        other = f"comes from the {lungs.method}" if lungs.masks else "was not found"
        text = f"Only the {lungs.outlined.removeprefix('lung_')} lung is outlined; the other {other}."
        flags.append(Flag("segment", "one_lung_outlined", text, "Outline both lungs."))
    if lungs.method == "threshold":
        if len(lungs.masks) == 1 and not lungs.outlined:
            flags.append(Flag("segment", "one_lung", "The image holds one lung.", "Use a scan of the whole chest."))
        text = f"Lungs come from thresholding{lungs.quality.figures if lungs.quality else ''}."
        flags.append(Flag("segment", "lungs_threshold", text, "Outline them or name a model."))
    if lungs.quality is not None and lungs.quality.doubtful:
        text = "The thresholded lungs are doubtful: fluid, collapse, a leak or a cut scan."
        flags.append(Flag("segment", "lungs_doubtful", text, "Look at the lungs of the case in review."))
    if lungs.method == "none":
        flags.append(Flag("segment", "no_lungs", "No lungs were found: the ring is not clipped.", "Outline the lungs."))
    if prediction is not None and not prediction.record.tumour_found:
        flags.append(Flag("segment", "no_tumour", "The model found no tumour.", "Look at the case in review."))
    return tuple(flags)
