"""Stage `segment`: the tumour by the study's model, the lungs by outline, model or threshold, in this order."""

from __future__ import annotations

from dataclasses import dataclass, replace

from engine.metrics.margins import largest_components
from engine.protocol import Segment
from engine.segment.chest_box import AIR_HU, holds_body
from engine.segment.embedding import encoder_features, no_features
from engine.segment.inference import Prediction, mask_of, predict
from engine.segment.lung_quality import LungQuality
from engine.segment.lungs import find_lungs
from engine.segment.model import SegmentationModel, labels_of
from engine.segment.nnunet import hardware, thread_count
from engine.segment.out_of_fold import unseen_member
from engine.segment.sliding_window import without_crumbs
from engine.segment.tumour_doubt import Doubtful, doubt_mask
from engine.segment.uncertainty import measured
from store.records import Flag, RefusedError, Segmentation, Uncertainty
from store.volumes import AutomaticMasks, BoolZyx, CtSeries, DoubtMasks, EncoderFeatures, Grid, Mask, ReferenceMasks

LUNGS = ("lung_left", "lung_right")
SMALLEST_TUMOUR_ML = 0.05
SMALLEST_LUNG_ML = 100.0
SOURCE_DIGITS = 12
THRESHOLD_SOURCE = "threshold"


@dataclass(frozen=True, slots=True)
class Segmented:
    """What was segmented: masks on the native grid, where it was in doubt, how, how sure, features, and flags."""

    masks: AutomaticMasks
    doubt: DoubtMasks
    segmentation: tuple[Segmentation, ...]
    uncertainty: tuple[Uncertainty, ...]
    features: EncoderFeatures
    flags: tuple[Flag, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    """One run of a model: its masks by structure on the native grid and its records, lungs not yet decided."""

    masks: dict[str, BoolZyx]
    record: Segmentation
    uncertainty: Uncertainty
    doubtful: Doubtful
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
    RefusedError from a model that may not be loaded or does not fit the memory, and from an image of air alone: what a
    network calls a tumour there means nothing.
    """
    if model is not None and not holds_body(ct.intensity_hu):
        raise _no_body()
    prediction = None if model is None else _found(ct, choices, unseen_member(model, ct))
    tumour = _tumour(references, prediction)
    lungs = _lungs(ct, references, choices, prediction, tumour)
    record = prediction.record if prediction else _without_model(lungs.method)
    return Segmented(
        masks=AutomaticMasks((*_tumour_masks(prediction, ct.grid), *lungs.masks)),
        doubt=DoubtMasks(_doubt_masks(references, prediction, lungs.masks, ct.grid)),
        segmentation=(_with_lungs(record, lungs.method),),
        uncertainty=(prediction.uncertainty,) if prediction else (),
        features=prediction.features if prediction else no_features(),
        flags=_flags(lungs, prediction),
    )


def _no_body() -> RefusedError:
    return RefusedError(
        "no_body",
        "CT image",
        f"nothing in it is denser than {AIR_HU} HU: it holds no body.",
        "Give the chest CT in Hounsfield units.",
    )


def _found(ct: CtSeries, choices: Segment, model: SegmentationModel) -> _Found:
    """Masks, record, uncertainty and encoder's features of one prediction."""
    labels = labels_of(model)
    prediction = predict(ct, choices, model)
    masks = _masks(prediction, labels, ct.grid)
    uncertainty = measured(prediction.tumour, prediction.grid, prediction.swept.members, SMALLEST_TUMOUR_ML)
    record = _record(prediction, model.sha256, bool(masks["tumour"].any()), uncertainty.mean_entropy)
    return _Found(masks, record, uncertainty, prediction.doubtful, encoder_features(prediction, model.sha256))


def _record(prediction: Prediction, sha256: str, tumour_found: bool, mean_entropy: float | None) -> Segmentation:
    """How a prediction was made; lungs not yet decided."""
    swept = prediction.swept
    return Segmentation(
        model_sha256=sha256,
        device=swept.device,
        seconds_read=swept.seconds_read,
        seconds_resample=swept.seconds_resample,
        seconds_network=swept.seconds_network,
        seconds_export=swept.seconds_export,
        tumour_found=tumour_found,
        mean_entropy=mean_entropy,
        lungs_method="none",
        hardware=hardware(swept.device),
        threads=thread_count(),
        precision=swept.precision,
        tile_zyx=" x ".join(map(str, swept.window.tile_zyx)),
        tiles=swept.tiles,
        members=swept.members,
        drawn_around=swept.drawn_around,
        swept_share=swept.swept_share,
        fallback=swept.fallback,
    )


def _masks(prediction: Prediction, labels: tuple[str, ...], native: Grid) -> dict[str, BoolZyx]:
    """The model's tumour and lungs on the native grid: of the tumour crumbs are dropped, a lung is one piece."""
    found = {name: mask_of(prediction, labels.index(name)) for name in ("tumour", *LUNGS) if name in labels}
    smallest = {"tumour": SMALLEST_TUMOUR_ML, **dict.fromkeys(LUNGS, SMALLEST_LUNG_ML)}
    whole = {name: mask if name == "tumour" else largest_components(mask) for name, mask in found.items()}
    return {name: without_crumbs(mask, native.voxel_ml, smallest[name]) for name, mask in whole.items()}


def _tumour(references: ReferenceMasks, prediction: _Found | None) -> BoolZyx | None:
    """The tumour that thresholded lungs are closed over: the outlined one, else the predicted one."""
    outlined = references.find("tumour")
    if outlined is not None:
        return outlined.voxels
    return prediction.masks["tumour"] if prediction else None


def _tumour_masks(prediction: _Found | None, grid: Grid) -> tuple[Mask, ...]:
    if prediction is None:
        return ()
    source = prediction.record.model_sha256[:SOURCE_DIGITS]
    return (Mask("tumour", "automatic", source, prediction.masks["tumour"], grid),)


def _doubt_masks(
    references: ReferenceMasks, prediction: _Found | None, made: tuple[Mask, ...], grid: Grid
) -> tuple[Mask, ...]:
    """Where the model wavered, inside the box of the lungs, outlined or made."""
    if prediction is None:
        return ()
    outlined = [mask for mask in map(references.find, LUNGS) if mask is not None]
    source = prediction.record.model_sha256[:SOURCE_DIGITS]
    return (doubt_mask(prediction.doubtful, (*outlined, *made), source, grid),)


def _lungs(
    ct: CtSeries,
    references: ReferenceMasks,
    choices: Segment,
    prediction: _Found | None,
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


def _found_lungs(ct: CtSeries, choices: Segment, prediction: _Found | None, tumour: BoolZyx | None) -> _LungChoice:
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


def _flags(lungs: _LungChoice, prediction: _Found | None) -> tuple[Flag, ...]:
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
    if prediction is not None and prediction.record.fallback:
        text = f"Memory ran out: predicted with {prediction.record.fallback}, tiles of {prediction.record.tile_zyx}."
        remedy = "Masks may differ a little from those of whole tiles; free memory and run again."
        flags.append(Flag("segment", "out_of_memory", text, remedy))
    if prediction is not None and not prediction.record.tumour_found:
        flags.append(Flag("segment", "no_tumour", "The model found no tumour.", "Look at the case in review."))
    return tuple(flags)
