import numpy as np
import pytest

from engine.analyse.imported import tabulate_import
from engine.protocol import Covariates, Eligibility, ImportedFeatures, Outcome, Plan
from store.matrices import ImportedTable
from tests.engine.analyse import measured


def imported(rows, raters=None, unmatched=0):
    cases = tuple(case for case, _ in rows)
    values = np.array([own for _, own in rows], dtype=np.float64)
    return ImportedTable(
        case_ids=cases,
        raters=raters or ("",) * len(cases),
        rois=("imported",) * 2,
        image_types=("original",) * 2,
        feature_classes=("shape", "firstorder"),
        features=("MeshVolume", "Mean"),
        values=values,
        dropped=("Target: outcome column",),
        unmatched=unmatched,
    )


def run(features, labels, repeats="readers"):
    outcomes = tuple(measured.outcome(case, label, 800, False) for case, label in labels.items())
    chosen = ImportedFeatures(repeats=repeats)
    return tabulate_import(features, (), outcomes, (), Covariates(), Outcome(), Eligibility(), Plan(), chosen)


def codes(found):
    return {flag.code for flag in found.flags}


def test_one_row_a_patient_turns_the_icc_filter_off_and_says_so():
    found = run(imported([("a", [1000, 1]), ("b", [2000, 2])]), {"a": True, "b": False})
    assert found.table.perturbed_values.shape == (0, 0, 2)
    assert codes(found) == {"no_repeats", "columns_left_out"}
    assert found.table.volume_ml.tolist() == [1.0, 2.0]


def test_further_raters_are_repeated_measurements():
    rows = [("a", [1, 1]), ("a", [1, 2]), ("b", [3, 3]), ("b", [3, 4]), ("c", [5, 5])]
    found = run(imported(rows, ("r1", "r2", "r1", "r2", "r1")), {"a": True, "b": False, "c": True})
    assert found.table.values[:, 1].tolist() == [1, 3, 5]
    assert found.table.perturbed_families == ("base", "readers")
    assert found.table.perturbed_rows.tolist() == [0, 1]
    assert "no_repeats" not in codes(found)


@pytest.mark.parametrize(
    ("repeats", "family"), [("test-retest", "random"), ("readers", "readers"), ("software", "fixed")]
)
def test_the_kind_of_repeats_decides_their_family(repeats, family):
    rows = [("a", [1, 1]), ("a", [1, 2]), ("b", [3, 3]), ("b", [3, 4])]
    found = run(imported(rows, ("r1", "r2", "r1", "r2")), {"a": True, "b": False}, repeats)
    assert found.table.perturbed_families == ("base", family)


def test_two_rows_of_one_patient_without_a_rater_are_refused():
    with pytest.raises(ValueError, match="one row per patient"):
        run(imported([("a", [1, 1]), ("a", [2, 2])]), {"a": True})


def test_a_missing_cell_is_missing_not_zero():
    found = run(imported([("a", [1, np.nan]), ("b", [2, 2])], unmatched=3), {"a": True, "b": False})
    assert np.isnan(found.table.values[0, 1])
    assert found.table.statuses[0, 1] != measured.OK
    assert "unmatched_rows" in codes(found)
