"""Stage `trained_overlap`: a trained model on the cases that it never saw, by the product's own inference."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path

from engine.metrics.overlap import detect, on_index_lesion, surface_distances, surface_dsc, volumetric_dsc
from engine.protocol import Agreement, Segment
from engine.segment.model import Manifest, SegmentationModel, describe_model, write_manifest
from engine.segment.out_of_fold import refuse_seen
from engine.segment.segmentation import segment
from store.records import StrategyOverlap, TrainingMember
from store.sources import Lookup, TrainingUnit
from store.volumes import BoolZyx, CtSeries, ReferenceMasks, TrainedWeights

MODEL_STEM = "model"


@dataclass(frozen=True, slots=True)
class Scored:
    """Agreement of one trained model on every case that it reports."""

    overlaps: tuple[StrategyOverlap, ...]


def score_model(
    unit: TrainingUnit,
    weights: TrainedWeights,
    members: tuple[TrainingMember, ...],
    images: Lookup[CtSeries],
    references: Lookup[ReferenceMasks],
    segmenting: Segment,
    rules: Agreement,
) -> Scored:
    """Segment and compare every reported case of the model's fold; ValueError when the model saw one of them.

    Models learn every outlined lesion and are scored on the index lesion: what they find on another reference lesion
    alone is taken away first.
    """
    manifest = Manifest.model_validate_json(weights.manifest_json)
    reported = [member for member in members if member.fold == unit.fold and member.role == "reported"]
    with tempfile.TemporaryDirectory() as scratch:
        model = place_model(weights, manifest, Path(scratch), MODEL_STEM)
        rows = []
        for member in reported:
            ct = images.load(member.case_id)
            refuse_seen(manifest, ct)
            outlined = references.load(member.case_id)
            tumour = outlined.find("tumour")
            if tumour is not None:
                predicted = on_index_lesion(_tumour(ct, segmenting, model), tumour.voxels, outlined.others("tumour"))
                rows.append(_overlap(unit, member.case_id, ct, tumour.voxels, predicted, rules))
    return Scored(tuple(rows))


def place_model(weights: TrainedWeights, manifest: Manifest, folder: Path, stem: str) -> SegmentationModel:
    """Write a trained model's two files into a folder under a stem; returns its record."""
    path = folder / f"{stem}.json"
    path.with_suffix(".pt").write_bytes(weights.weights.tobytes())
    write_manifest(path, manifest)
    return describe_model(path)


def _tumour(ct: CtSeries, segmenting: Segment, model: SegmentationModel) -> BoolZyx:
    """The tumour by a model alone; lungs are not looked for."""
    choices = segmenting.model_copy(update={"lungs_fallback": False})
    mask = segment(ct, ReferenceMasks(()), choices, model).masks.find("tumour")
    if mask is None:
        raise ValueError(f"a trained model must name a tumour, got {json.dumps(model.name)}")
    return mask.voxels


def _overlap(
    unit: TrainingUnit, case_id: str, ct: CtSeries, reference: BoolZyx, predicted: BoolZyx, rules: Agreement
) -> StrategyOverlap:
    distances = surface_distances(reference, predicted, ct.grid.spacing_zyx_mm)
    return StrategyOverlap(
        strategy=unit.strategy,
        seed=unit.seed,
        fold=unit.fold,
        case_id=case_id,
        dsc=volumetric_dsc(reference, predicted) or 0.0,
        surface_dsc=surface_dsc(distances, rules.tolerance_mm),
        missed=detect(reference, predicted).missed,
        volume_ml=float(reference.sum()) * ct.grid.voxel_ml,
    )
