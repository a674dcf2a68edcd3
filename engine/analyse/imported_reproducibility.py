"""Stage `reproducibility` of a table study: repeated measurements somebody else made, read as perturbations are."""

from __future__ import annotations

import numpy as np

from engine.analyse.imported import REPEAT_FAMILIES, by_rater, has_value
from engine.analyse.reproducibility import Reproduced, perturbation_effects, roi_rows
from engine.analyse.stack import Stack
from engine.protocol import ImportedFeatures, Reproducibility
from store.matrices import ImportedTable
from store.records import BASE_MASK, DeclinedError, FeatureName, PerturbedMask

FEATURE_SET = "imported"


def reproduce_import(features: ImportedTable, choices: ImportedFeatures, rules: Reproducibility) -> Reproduced:
    """ICC of every imported feature over the raters (scans, programs) of its table, by the family of its kind.

    Missing ratings make a patient incomplete for that feature only. DeclinedError with one row a patient.
    """
    measured = by_rater(features)
    if len(measured.raters) < 2:
        raise DeclinedError("reproducibility needs repeated measurements: the feature table has one row a patient")
    family = REPEAT_FAMILIES[choices.repeats]
    rows = np.flatnonzero(has_value(measured.values).any(axis=1))
    names = (BASE_MASK, *measured.raters[1:])
    families = ("base", *(family,) * (len(measured.raters) - 1))
    estimates, effects = [], []
    for roi in dict.fromkeys(features.rois):
        columns = [place for place, own in enumerate(features.rois) if own == roi]
        values = measured.values[rows][:, :, columns]
        cases = tuple(measured.case_ids[row] for row in rows)
        stack = Stack(roi, cases, names, families, values, np.zeros(len(columns), dtype=np.bool_))
        estimates += roi_rows(roi, stack, _names(features, columns), (family,), rules)
        effects += perturbation_effects(stack, _raters(roi, measured.raters[1:], family, choices.repeats), rules)
    return Reproduced(tuple(estimates), tuple(effects))


def _names(features: ImportedTable, columns: list[int]) -> tuple[FeatureName, ...]:
    parts = ((features.image_types[c], features.feature_classes[c], features.features[c]) for c in columns)
    return tuple(FeatureName(FEATURE_SET, place, *part) for place, part in enumerate(parts))


def _raters(roi: str, raters: tuple[str, ...], family: str, kind: str) -> list[PerturbedMask]:
    """Each further rater as a perturbation whose mask nobody saw."""
    return [PerturbedMask(roi, rater, family, kind, "{}", None, None, True) for rater in raters]
