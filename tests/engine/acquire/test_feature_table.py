"""Imported features: every column accounted for, values that cannot be used by policy, bad rows by their lines."""

from __future__ import annotations

import gzip

import numpy as np
import pytest

from engine.acquire.discover import feature_table_source
from engine.acquire.feature_table import Imported, read_feature_table
from engine.acquire.pseudonyms import Pseudonyms
from engine.protocol import ImportedFeatures, Protocol, Study
from store.records import RefusedError

PREFIX = "original_glcm_"


def read(tmp_path, text: str, **choices: object) -> Imported:
    (tmp_path / "f.csv").write_text(text)
    table = ImportedFeatures.model_validate({"file": "f.csv", "id": "id", **choices})
    protocol = Protocol(study=Study(kind="table"), features_table=table)
    source = feature_table_source(tmp_path, protocol, Pseudonyms(tmp_path, public_ids=True))
    return read_feature_table(source, table)


def table(**columns: tuple[object, ...]) -> str:
    names = [PREFIX + name for name in columns]
    rows = [f"P{n}," + ",".join(map(str, row)) for n, row in enumerate(zip(*columns.values(), strict=True))]
    return "\n".join([",".join(["id", *names]), *rows])


def reasons(found: Imported) -> dict[str, str]:
    return {state.column.removeprefix(PREFIX): state.reason for state in found.columns}


def test_every_column_is_reported_with_what_became_of_it(tmp_path):
    text = table(
        good=(1, 2, 3), huge=(1, "1e39", 2), same=(7, 7, 7), none=("", "NA", "nan"), copy=(1, 2, 3), gap=(4, "", 6)
    )
    found = read(tmp_path, text)
    assert reasons(found) == {
        "good": "",
        "huge": "a value beyond float32",
        "same": "constant",
        "none": "no value",
        "copy": f"the same values as {PREFIX}good",
        "gap": "",
    }
    gap = next(state for state in found.columns if state.column == PREFIX + "gap")
    assert (gap.rows, gap.missing, gap.overflowed, gap.state) == (3, 1, 0, "feature")
    assert found.features.features == ("good", "gap")


def test_a_declared_column_of_birth_dates_is_no_feature(tmp_path):
    text = "id,Birth date,x\nA,18325,1\nB,21000,2\n"
    with pytest.raises(RefusedError, match="date_cell"):
        read(tmp_path, text, columns=["Birth date", "x"])
    assert read(tmp_path, text, columns=["x"]).features.features == ("x",)


@pytest.mark.parametrize("cell", ["1e39", "-1e39", "inf", "-Infinity"])
def test_an_overflowed_value_costs_its_column_or_is_missing_by_policy(tmp_path, cell):
    text = table(good=(1, 2, 3), huge=(1, cell, 2))
    assert read(tmp_path, text).features.features == ("good",)
    kept = read(tmp_path, text, overflow="missing")
    assert kept.features.features == ("good", "huge")
    assert np.isnan(kept.features.values[1, 1])
    assert kept.columns[1].overflowed == 1


def test_two_rows_of_one_patient_and_rater_are_refused_by_line(tmp_path):
    text = f"id,rater,{PREFIX}a\nA,r1,1\nA,r2,2\nA,r1,3\n"
    with pytest.raises(RefusedError, match="lines 4"):
        read(tmp_path, text, rater="rater")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (f"id,{PREFIX}a\nA,1\nB,x\n", "'original_glcm_a', line 3"),
        (f"id;{PREFIX}a\nA;1\nB;2,5\n", "'original_glcm_a', line 3"),
        (f"id,{PREFIX}a\nA,1\nA,2\n", "lines 3"),
        (f"id,{PREFIX}a\nA,1\n,2\n", "lines 3"),
        (f"id,{PREFIX}a\nA,1\nB,2,3\n", "lines 3"),
        (f"id,{PREFIX}a,{PREFIX}a\nA,1,2\n", PREFIX + "a"),
    ],
)
def test_a_bad_table_is_refused_by_row_and_column(tmp_path, text, says):
    with pytest.raises(RefusedError, match=says):
        read(tmp_path, text)


def test_harvard_rt_is_accounted_for_column_by_column(shared, tmp_path):
    # ../shared/data/hosny_2yr/README.md: 1004 features, 2 patients without any, exponential_* NaN where they overflow;
    # its 3 constant columns are settings (general_info), no features
    (tmp_path / "h.csv").write_bytes(gzip.decompress((shared / "data/hosny_2yr/HarvardRT.csv.gz").read_bytes()))
    choices = ImportedFeatures(file="h.csv", id="id")
    protocol = Protocol(study=Study(kind="table"), features_table=choices)
    source = feature_table_source(tmp_path, protocol, Pseudonyms(tmp_path, public_ids=False))
    found = read_feature_table(source, choices)
    declared = [state for state in found.columns if state.reason != "not named like a feature"]
    assert len(declared) == 1004
    gaps = {state.column: state.missing for state in declared if state.missing > 2}
    assert gaps["exponential_glcm_Correlation"] == 287
    assert gaps["exponential_ngtdm_Contrast"] == 283
    assert len(gaps) == 7
    assert (~np.isfinite(found.features.values)).all(axis=1).sum() == 2
    assert len(found.columns) == 1017 - 1
