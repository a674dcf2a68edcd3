"""Repeated measurements of other people's tables: real ones of nine teams, and planted ones."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from engine.analyse.imported_reproducibility import reproduce_import
from engine.protocol import ImportedFeatures, Reproducibility
from store.matrices import ImportedTable
from store.records import DeclinedError

RULES = Reproducibility(families=("random", "fixed", "readers"))


def table(values, raters, rois=None):
    """Long table of values (patients, raters, features)."""
    n, k, p = values.shape
    return ImportedTable(
        case_ids=tuple(f"c{row:02d}" for row in range(n) for _ in range(k)),
        raters=tuple(raters) * n,
        rois=rois or ("intratumoural",) * p,
        image_types=("original",) * p,
        feature_classes=("firstorder",) * p,
        features=tuple(f"f{i}" for i in range(p)),
        values=values.reshape(n * k, p),
        dropped=(),
        unmatched=0,
    )


def pivoted(frame):
    return frame.pivot(index="id", columns="team", values="value").to_numpy()


def test_nine_teams_give_the_iccs_that_psych_gives(shared: Path) -> None:
    # data/ibsi1_multi_team: the tags that the same eight teams submitted in full
    folder = shared / "data/ibsi1_multi_team"
    raw = pd.read_csv(folder / "multi_team_CT.csv.gz")
    reference = pd.read_csv(folder / "icc_reference_psych_CT.csv")
    teams = reference.teams[reference.k == 8].mode()[0]
    own = reference[reference.teams == teams].set_index("tag")
    wide = raw[raw.tag.isin(own.index) & raw.team.isin(teams.split("|"))]
    values = np.stack(
        [wide[wide.tag == tag].pivot(index="id", columns="team", values="value").to_numpy() for tag in own.index],
        axis=2,
    )
    found = reproduce_import(table(values, sorted(teams.split("|"))), ImportedFeatures(repeats="readers"), RULES)
    assert len(found.estimates) == len(own) > 20
    for row, wanted in zip(found.estimates, own.itertuples(), strict=True):
        assert (row.family, row.n, row.k) == ("readers", 51, 8)
        assert (row.icc21, row.icc21_lo) == pytest.approx((wanted.ICC2, wanted.ICC2_lo), abs=1e-9)
        assert row.survives == (wanted.ICC2_lo >= 0.75)


def test_the_count_of_reproducible_tags_is_the_published_one(shared: Path) -> None:
    # README of data/ibsi1_multi_team: ICC2 >= 0.9 for 111 of 226 tags, >= 0.75 for 151
    folder = shared / "data/ibsi1_multi_team"
    raw = pd.read_csv(folder / "multi_team_CT.csv.gz")
    by_tag = dict(iter(raw.groupby("tag")))
    found = []
    for wanted in pd.read_csv(folder / "icc_reference_psych_CT.csv").itertuples():
        own = by_tag[wanted.tag]
        values = pivoted(own[own.team.isin(wanted.teams.split("|"))])[:, :, None]
        teams = sorted(wanted.teams.split("|"))
        found.append(reproduce_import(table(values, teams), ImportedFeatures(), RULES).estimates[0].icc21)
    assert (len(found), sum(v >= 0.9 for v in found), sum(v >= 0.75 for v in found)) == (226, 111, 151)


def test_two_extractions_of_lung1_agree_where_spacing_does_not_matter(shared: Path) -> None:
    # data/lung1_tables: one extraction ignored the spacing (README); intensities agree by rank, shape does not
    folder = shared / "data/lung1_tables"
    one = pd.read_csv(folder / "lung1_features_clinical_190.csv.gz").set_index("PatientID")
    frames = {kind: pd.read_csv(folder / f"lung1_unitspacing_{kind}.csv.gz") for kind in ("firstorder", "shape")}
    values = {}
    for kind, frame in frames.items():
        patient = next(c for c in frame.columns if frame[c].astype(str).str.startswith("LUNG1-").all())
        other = frame.set_index(patient)
        for feature in ("Skewness", "Elongation", "Flatness", "Maximum2DDiameterSlice", "MajorAxisLength"):
            ours = next((c for c in one.columns if c.endswith(f"original_{kind}_{feature}")), None)
            theirs = next((c for c in other.columns if c.endswith(feature)), None)
            if ours is not None and theirs is not None:
                both = one[[ours]].join(other[[theirs]], how="inner", lsuffix="_a", rsuffix="_b")
                values[feature] = both.to_numpy()
    assert len(next(iter(values.values()))) == 416
    stacked = np.stack(list(values.values()), axis=2)
    choices = ImportedFeatures(repeats="software")
    rows = reproduce_import(table(stacked, ("a", "b")), choices, RULES).estimates
    rank = dict(zip(values, (row.icc_rank for row in rows), strict=True))
    assert {row.family for row in rows} == {"fixed"}
    assert rank["Skewness"] > 0.9
    assert rank["Elongation"] < 0.75
    assert rank["Flatness"] < 0.75


def test_test_retest_is_read_by_icc_11_and_needs_no_perturbed_mask():
    rng = np.random.default_rng(1)
    values = rng.normal(size=(30, 1, 2)) + np.array([0.1, 1.5]) * rng.normal(size=(30, 2, 2))
    found = reproduce_import(table(values, ("scan1", "scan2")), ImportedFeatures(repeats="test-retest"), RULES)
    assert [(row.family, row.survives) for row in found.estimates] == [("random", True), ("random", False)]
    assert [(e.perturbation, e.method, e.dsc_median) for e in found.effects] == [("scan2", "test-retest", None)]


def test_a_patient_whom_one_rater_left_out_leaves_only_what_is_missing():
    rng = np.random.default_rng(2)
    values = rng.normal(size=(20, 1, 1)) + 0.1 * rng.normal(size=(20, 3, 1))
    values[3, 1] = np.nan
    row = reproduce_import(table(values, ("a", "b", "c")), ImportedFeatures(), RULES).estimates[0]
    assert (row.n, row.k) == (19, 3)


def test_regions_are_kept_apart():
    rng = np.random.default_rng(3)
    values = rng.normal(size=(20, 1, 2)) + 0.1 * rng.normal(size=(20, 2, 2))
    found = reproduce_import(
        table(values, ("a", "b"), ("intratumoural", "whole_lung")), ImportedFeatures(), RULES
    ).estimates
    assert [(row.roi, row.feature) for row in found] == [("intratumoural", "f0"), ("whole_lung", "f1")]


def test_one_row_a_patient_is_declined():
    with pytest.raises(DeclinedError, match="needs repeated measurements"):
        reproduce_import(table(np.zeros((5, 1, 1)), ("",)), ImportedFeatures(), RULES)
