"""Fitted arms as parts of a model file, and back on the columns of another design table."""

from __future__ import annotations

import hashlib
import json

import numpy as np
from numpy.typing import NDArray

from engine.analyse.arms import Arm
from engine.analyse.clinical_coding import ClinicalCoding, LevelCoding, NumberCoding
from engine.analyse.derived import fingerprints
from engine.analyse.filters import Scaling
from engine.analyse.learners import Columns, Constant, Hazard, Learner, Logistic, Offset, Trees
from engine.portable_model import (
    ROLE,
    PortableArm,
    PortableColumns,
    PortableConstant,
    PortableFeature,
    PortableHazard,
    PortableLearner,
    PortableLevels,
    PortableLogistic,
    PortableModel,
    PortableNumber,
    PortableOffset,
    PortableTrees,
    TrainingPatients,
)
from engine.protocol import FeatureGrid, Features, Rois
from engine.statistics.cox import CoxFit
from engine.statistics.logistic import LogisticFit
from engine.statistics.rank_forest import Forest
from engine.statistics.tree_kernel import TreeNodes
from store.matrices import MISSING_LEVEL, DesignTable
from store.records import RefusedError

Floats = NDArray[np.float64]
IMPORTED = "imported"
PRINTED_COLUMNS = 20
FEWEST_EQUAL = 3
UNSEEN_LEVEL = -2  # a level that the table does not have: no row is of it


def portable_arm(arm: Arm, table: DesignTable, out_of_bag_auc: float | None) -> PortableArm:
    """A fitted arm by the names of the table it was fitted on."""
    learner = _portable(arm.learner, table)
    return PortableArm(model=arm.model, learner=learner, median=arm.median, out_of_bag_auc=out_of_bag_auc)


def _portable(learner: Learner, table: DesignTable) -> PortableLearner:
    if isinstance(learner, Constant):
        return PortableConstant(probability=learner.probability)
    if isinstance(learner, Logistic):
        return _portable_logistic(learner, table)
    if isinstance(learner, Offset):
        base = learner.base
        if not isinstance(base, Logistic | Constant):
            raise TypeError(f"an offset stands on a logistic model, got {type(base).__name__}")
        below = _portable_logistic(base, table) if isinstance(base, Logistic) else _portable(base, table)
        given = {"columns": _columns(learner.columns, table), "coefficients": _tuple(learner.fit.coefficients)}
        return PortableOffset.model_validate({"base": below, **given})
    if isinstance(learner, Trees):
        used = int(max(learner.forest.nodes.left.max(), learner.forest.nodes.right.max())) + 1
        nodes = {name: rows[:, :used].tolist() for name, rows in learner.forest.nodes._asdict().items()}
        return PortableTrees.model_validate({"columns": _columns(learner.columns, table), **nodes})
    if isinstance(learner, Hazard):
        return PortableHazard(
            columns=_columns(learner.columns, table),
            varying=tuple(learner.varying.tolist()),
            coefficients=_tuple(learner.fit.coefficients),
            mean=_tuple(learner.fit.mean),
            times=_tuple(learner.fit.times),
            cumulative_hazard=_tuple(learner.fit.cumulative_hazard),
            horizon_days=learner.horizon_days,
        )
    raise TypeError(f"no portable form of {type(learner).__name__}")


def _portable_logistic(learner: Logistic, table: DesignTable) -> PortableLogistic:
    return PortableLogistic(columns=_columns(learner.columns, table), coefficients=_tuple(learner.fit.coefficients))


def _columns(columns: Columns, table: DesignTable) -> PortableColumns:
    parts = None if columns.clinical is None else tuple(_coding(part, table) for part in columns.clinical.parts)
    features = None if columns.features is None else tuple(_features(columns.features, table))
    return PortableColumns(clinical=parts, volume=columns.volume, features=features)


def _coding(part: NumberCoding | LevelCoding, table: DesignTable) -> PortableNumber | PortableLevels:
    name = table.clinical_names[part.column]
    if isinstance(part, NumberCoding):
        return PortableNumber(
            column=name, median=part.median, mean=part.mean, spread=part.spread, indicator=part.indicator
        )
    levels = tuple(None if code == MISSING_LEVEL else table.clinical_levels[code] for code in part.levels)
    return PortableLevels(column=name, levels=levels)


def _features(scaling: Scaling, table: DesignTable) -> list[PortableFeature]:
    rows = zip(
        scaling.columns.tolist(), _tuple(scaling.median), _tuple(scaling.mean), _tuple(scaling.spread), strict=True
    )
    return [
        PortableFeature(
            roi=table.rois[column],
            image_type=table.image_types[column],
            feature_class=table.feature_classes[column],
            feature=table.features[column],
            median=median,
            mean=mean,
            spread=spread,
        )
        for column, median, mean, spread in rows
    ]


def _tuple(values: Floats) -> tuple[float, ...]:
    return tuple(values.tolist())


def risk_elsewhere(model: PortableModel, arm: PortableArm, table: DesignTable) -> Floats:
    """Risk (n,) of the patients of another table, none of whom the model was fitted on.

    RefusedError where one was, by id or by feature values, and where the table lacks a feature or a clinical column.
    """
    refuse_training_patients(model, table)
    return _learner(arm.learner, table).risk(table)


def _learner(part: PortableLearner, table: DesignTable) -> Learner:
    if isinstance(part, PortableConstant):
        return Constant(part.probability)
    if isinstance(part, PortableLogistic):
        return Logistic(_columns_of(part.columns, table), _logistic(part.coefficients))
    if isinstance(part, PortableOffset):
        return Offset(_learner(part.base, table), _columns_of(part.columns, table), _logistic(part.coefficients))
    if isinstance(part, PortableTrees):
        return Trees(_columns_of(part.columns, table), _forest(part))
    zeros = np.zeros(len(part.coefficients))
    fit = CoxFit(
        *(np.array(part.coefficients), np.zeros((zeros.size, zeros.size)), zeros, zeros, zeros, zeros, 0.0, 0.0),
        *(np.array(part.mean), np.array(part.times), np.array(part.cumulative_hazard), True),
    )
    return Hazard(_columns_of(part.columns, table), np.array(part.varying, dtype=np.intp), fit, part.horizon_days)


def _logistic(coefficients: tuple[float, ...]) -> LogisticFit:
    values = np.array(coefficients)
    return LogisticFit(values, np.zeros((values.size, values.size)), np.zeros(values.size), 0.0, True)


def _forest(part: PortableTrees) -> Forest:
    """Trees whose links stay inside them; RefusedError for others, which would never end or read elsewhere."""
    every = (part.column, part.left, part.right, part.threshold, part.event_share)
    lengths = {tuple(len(row) for row in rows) for rows in every}
    if len(lengths) != 1 or len(set(next(iter(lengths)))) != 1:
        raise _bad("the trees of a forest must all have the same number of nodes")
    column, left, right = (np.array(rows, dtype=np.int32) for rows in every[:3])
    threshold, share = (np.array(rows, dtype=np.float64) for rows in every[3:])
    width, inner = _width(part.columns), column >= 0
    here = np.broadcast_to(np.arange(column.shape[1]), column.shape)[inner]
    forward = all(((side[inner] > here) & (side[inner] < column.shape[1])).all() for side in (left, right))
    if not forward or (column >= width).any():
        raise _bad("a node of a forest must lead on to later nodes and read one of its columns")
    return Forest(TreeNodes(column, left, right, threshold, share), np.zeros(width))


def _width(columns: PortableColumns) -> int:
    clinical = sum(
        len(part.levels) if isinstance(part, PortableLevels) else 1 + part.indicator for part in columns.clinical or ()
    )
    return clinical + (columns.volume is not None) + len(columns.features or ())


def _columns_of(part: PortableColumns, table: DesignTable) -> Columns:
    clinical = None if part.clinical is None else ClinicalCoding(tuple(_coding_of(one, table) for one in part.clinical))
    features = None if part.features is None else _scaling_of(part.features, table)
    if part.volume is not None and not np.isfinite(table.volume_ml).any():
        raise _lacking("a tumour volume")
    return Columns(clinical, part.volume, features)


def _coding_of(part: PortableNumber | PortableLevels, table: DesignTable) -> NumberCoding | LevelCoding:
    if part.column not in table.clinical_names:
        raise _lacking(f"the covariate {part.column!r}")
    place = table.clinical_names.index(part.column)
    if (table.clinical_kinds[place] == "number") != isinstance(part, PortableNumber):
        raise _lacking(f"the covariate {part.column!r} as a {part.kind.removesuffix('s')}")
    if isinstance(part, PortableNumber):
        return NumberCoding(place, part.median, part.mean, part.spread, part.indicator)
    known = {name: code for code, name in enumerate(table.clinical_levels)}
    return LevelCoding(
        place, tuple(MISSING_LEVEL if name is None else known.get(name, UNSEEN_LEVEL) for name in part.levels)
    )


def _scaling_of(features: tuple[PortableFeature, ...], table: DesignTable) -> Scaling:
    names = zip(table.rois, table.image_types, table.feature_classes, table.features, strict=True)
    place = {name: column for column, name in enumerate(names)}
    wanted = [(f.roi, f.image_type, f.feature_class, f.feature) for f in features]
    absent = ["_".join(name) for name in wanted if name not in place]
    if absent:
        raise _lacking(f"{len(absent)} feature(s) of the model, {', '.join(absent[:3])}")
    return Scaling(
        np.array([place[name] for name in wanted], dtype=np.intp),
        *(np.array([getattr(f, name) for f in features]) for name in ("median", "mean", "spread")),
    )


def recipe_text(table: DesignTable, features: Features, grid: FeatureGrid, rois: Rois) -> str:
    """The settings that the features of a table were extracted with, as JSON; IMPORTED where somebody else did."""
    if not table.batches:
        return IMPORTED
    parts = {"features": features, "grid": grid, "rois": rois}
    return json.dumps({name: part.model_dump(mode="json") for name, part in parts.items()}, sort_keys=True)


def training_patients(table: DesignTable, events: int, train_sha256: str, key: int) -> TrainingPatients:
    """Keyed hashes of the ids of all patients of a table and of their values in some columns."""
    columns = np.flatnonzero(np.isfinite(table.values).all(axis=0))[:PRINTED_COLUMNS]
    names = tuple(_name(table, column) for column in columns.tolist())
    return TrainingPatients(
        n=len(table.case_ids),
        events=events,
        sha256=train_sha256,
        key=key,
        ids=tuple(_hashed(case, key) for case in table.case_ids),
        names=names,
        prints=tuple(tuple(row) for row in fingerprints(table.values[:, columns], key).tolist()),
    )


def refuse_training_patients(model: PortableModel, table: DesignTable) -> None:
    """RefusedError when patients of the table trained the model: their performance would be an apparent one."""
    known = model.training
    by_id = len({_hashed(case, known.key) for case in table.case_ids} & set(known.ids))
    place = {_name(table, column): column for column in range(len(table.features))}
    pairs = [(mine, place[name]) for mine, name in enumerate(known.names) if name in place]
    by_value = 0
    if pairs:
        theirs, mine = (list(side) for side in zip(*pairs, strict=True))
        own = fingerprints(table.values[:, mine], known.key)
        seen = np.array(known.prints, dtype=np.uint64)[:, theirs]
        equal = ((own[:, None, :] == seen[None, :, :]) & (own != 0)[:, None, :]).sum(axis=2)
        by_value = int((equal.max(axis=1, initial=0) >= min(FEWEST_EQUAL, len(pairs))).sum())
    if by_id or by_value:
        text = (
            f"{max(by_id, by_value)} patients of this study trained the model ({by_id} by id, {by_value} by their"
            " feature values): it would be tested on what it was fitted to."
        )
        raise RefusedError("training_patient", ROLE, text, "Test it on other patients.")


def _name(table: DesignTable, column: int) -> str:
    parts = (table.rois, table.image_types, table.feature_classes, table.features)
    return "_".join(part[column] for part in parts)


def _hashed(case_id: str, key: int) -> str:
    return hashlib.sha256(f"{key} {case_id}".encode()).hexdigest()[:24]


def _bad(text: str) -> RefusedError:
    return RefusedError("bad_model", ROLE, f"{text}.", "Give a file that `export-model` wrote.")


def _lacking(what: str) -> RefusedError:
    text = f"this study lacks {what}."
    return RefusedError("model_column", ROLE, text, "Declare or measure it, or test an arm without it.")
