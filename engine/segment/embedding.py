"""Deep features: what the segmentation network's encoder saw of each ROI, pooled; a feature set of its own.

Stage `segment` keeps the encoder's coarse features of the whole CT; the ROIs are known only later, so they are pooled
here over the very masks that the radiomic features are taken from.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.geometry import index_to_points_mm, points_to_index
from engine.protocol import digest
from engine.segment.inference import Prediction
from engine.segment.model import SegmentationModel, read_manifest
from engine.segment.nnunet import EMBEDDED_STAGE
from store.records import NO_MODEL, OTHER_FOLD, Embedding, EmbeddingName, RoiMask
from store.volumes import EncoderFeatures, Mask, RoiMasks

STATISTICS = ("mean", "sd", "max")
HALF = 0.5


@dataclass(frozen=True, slots=True)
class NamedEmbeddings:
    """Every place of the embeddings of this study; none without a model."""

    names: tuple[EmbeddingName, ...]


@dataclass(frozen=True, slots=True)
class Embedded:
    """One embedding per region."""

    embeddings: tuple[Embedding, ...]


def name_embeddings(model: SegmentationModel | None) -> NamedEmbeddings:
    """The names of a model's embeddings in the frozen order of their vectors; RefusedError for a bad manifest."""
    if model is None:
        return NamedEmbeddings(())
    channels = read_manifest(Path(model.manifest_path)).architecture.features_per_stage[EMBEDDED_STAGE]
    return NamedEmbeddings(embedding_names(model.sha256, EMBEDDED_STAGE, channels))


def embed_regions(
    features: EncoderFeatures, masks: RoiMasks, regions: tuple[RoiMask, ...], model: SegmentationModel | None
) -> Embedded:
    """Mean, sd and largest value of each channel over each region; NaN and the region's status where it is not ok.

    A cell counts by the voxels of the region in it, so a thin ring also sees what it shares its cells with. There are
    no values without a model (status no_model), and none where another fold segmented a case that the study's model
    was trained on (other_fold): numbers of two networks do not mean the same.
    """
    if not features.model_sha256 or model is None:
        return _without_values(regions, NO_MODEL)
    if features.model_sha256 != model.sha256:
        return _without_values(regions, OTHER_FOLD)
    channels = len(features.values)
    feature_set = embedding_names(features.model_sha256, features.stage, channels)[0].feature_set
    found = []
    for region in regions:
        mask = masks.find(region.roi)
        usable = region.status == "ok" and mask is not None
        values = pooled(features, mask) if usable and mask is not None else np.full(len(STATISTICS) * channels, np.nan)
        found.append(Embedding(region.roi, region.status, feature_set, values))
    return Embedded(tuple(found))


def _without_values(regions: tuple[RoiMask, ...], status: str) -> Embedded:
    return Embedded(tuple(Embedding(region.roi, status, "", np.zeros(0)) for region in regions))


def embedding_names(model_sha256: str, stage: int, channels: int) -> tuple[EmbeddingName, ...]:
    """The places of an embedding: all means, then all sds, then all largest values, by channel from 0."""
    parts = [(statistic, channel) for statistic in STATISTICS for channel in range(channels)]
    names = [f"encoder-stage{stage}_{statistic}_{channel:03d}" for statistic, channel in parts]
    feature_set = digest([model_sha256, names])
    return tuple(
        EmbeddingName(feature_set, place, model_sha256, stage, statistic, channel, name)
        for place, ((statistic, channel), name) in enumerate(zip(parts, names, strict=True))
    )


def encoder_features(found: Prediction, model_sha256: str) -> EncoderFeatures:
    """The encoder's features of a prediction as they are stored, in half precision."""
    grid = found.grid
    return EncoderFeatures(
        values=found.features.astype(np.float16),
        stage=EMBEDDED_STAGE,
        stride_zyx=found.feature_stride,
        size_xyz=grid.size_xyz,
        spacing_mm=grid.spacing_mm,
        origin_mm=grid.origin_mm,
        direction=grid.direction,
        model_sha256=model_sha256,
    )


def no_features() -> EncoderFeatures:
    """What stands for the features of a study without a model."""
    unit = (1.0, 1.0, 1.0)
    identity = tuple(np.eye(3).ravel().tolist())
    nothing = np.zeros((0, 0, 0, 0), dtype=np.float16)
    return EncoderFeatures(nothing, EMBEDDED_STAGE, (1, 1, 1), (1, 1, 1), unit, (0.0, 0.0, 0.0), identity, "")


def pooled(features: EncoderFeatures, mask: Mask) -> NDArray[np.float64]:
    """Mean, sd and largest value of each channel over a non-empty mask, one statistic after the other."""
    counts = _voxels_by_cell(features, mask)
    inside = counts > 0
    weights = counts[inside] / counts[inside].sum()
    values = features.values[:, inside].astype(np.float64)
    mean = values @ weights
    spread = np.sqrt(np.maximum(0.0, (values - mean[:, None]) ** 2 @ weights))
    return np.concatenate([mean, spread, values.max(axis=1)])


def _voxels_by_cell(features: EncoderFeatures, mask: Mask) -> NDArray[np.int64]:
    """How many voxels of a mask lie in each cell, z, y, x; a voxel past the border counts for the nearest cell."""
    cells = np.array(features.values.shape[1:])
    counts = np.zeros(int(cells.prod()), dtype=np.int64)
    for z in np.flatnonzero(mask.voxels.any(axis=(1, 2))):
        y, x = np.nonzero(mask.voxels[z])
        points = index_to_points_mm(np.column_stack([x, y, np.full(len(x), z)]).astype(np.float64), mask.grid)
        index_zyx = points_to_index(points, features.grid)[:, ::-1]
        cell = np.floor((index_zyx + HALF) / np.array(features.stride_zyx)).astype(np.int64)
        place = np.ravel_multi_index(tuple(np.clip(cell, 0, cells - 1).T), tuple(cells))
        counts += np.bincount(place, minlength=len(counts))
    return counts.reshape(cells)
