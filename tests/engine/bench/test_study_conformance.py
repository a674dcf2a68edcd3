"""A study's settings against IBSI's references; what they keep from being met says so; absent files decline it."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.bench.conformance import conformity_counts
from engine.bench.reference_files import reference_files
from engine.bench.study_conformance import conform_all, conform_study
from engine.pipeline import IMAGE_STUDY
from engine.protocol import Features, Protocol
from engine.run.planning import MissingInputError, Plan, task_key
from store.layout import StudyFolder
from store.ledger import Ledger
from store.source_list import Sources, read_sources, write_sources

STAGE = next(stage for stage in IMAGE_STUDY if stage.name == "conform")


@pytest.fixture(scope="module")
def rows(shared):
    return conform_study(reference_files(shared), Features()).rows


def key(ledger, references, features=None):
    protocol = Protocol(features=features or Features())
    return task_key(Plan("run-1", IMAGE_STUDY, protocol, Sources(references=references), ""), STAGE, "", ledger)


@pytest.fixture
def ledger(tmp_path):
    with Ledger(StudyFolder(tmp_path)) as opened:
        yield opened


def test_level_features_of_c_are_missed_by_pyradiomics_bins_and_the_row_says_what_meets_them(rows):
    missed = [row for row in rows if row.configuration == "C" and row.verdict == "not met"]
    assert {"glcm_JointAverage", "gldm_HighGrayLevelEmphasis"} <= {row.feature for row in missed}
    assert all("bin_origin = pyradiomics" in row.reason and row.reason.endswith(": met") for row in missed)


def test_converted_values_name_their_conversion(rows):
    kurtosis = [row for row in rows if row.tag == "stat_kurt" and row.value is not None]
    assert {row.configuration for row in kurtosis} >= {"digital", "A", "C", "ibsi2 1.A", "ibsi2 3.B", "ibsi2 6.B"}
    assert all("less 3" in row.reason for row in kurtosis)


# IBSI-2's own criterion: every voxel within 1 % of the range of the reference map
@pytest.mark.parametrize(
    ("name", "verdict", "largest"),
    [
        ("2.a", "not met", 1.4),
        ("2.b", "met", 0.9),
        ("6.a.1", "met", 1e-4),
        ("6.a.2", "met", 1e-4),
        ("7.a.1", "not met", 50),
    ],
)
def test_response_maps_are_met_but_for_the_peak_of_a_narrow_log_and_a_second_level(rows, name, verdict, largest):
    (row,) = [row for row in rows if row.configuration == f"ibsi2 {name}"]
    assert row.verdict == verdict
    assert 0 <= row.value < largest
    assert "of 262144 voxels" in row.reason


def test_the_missed_map_is_off_at_the_impulse_alone_and_a_sampled_kernel_meets_it(rows):
    (row,) = [row for row in rows if row.configuration == "ibsi2 2.a"]
    assert "262143 of 262144 voxels within 1 %" in row.reason
    assert "sampled kernel cut at 4 sigma: 0.0016 % off" in row.reason


def test_statistics_of_our_filtered_phantoms_are_met_but_one_and_those_of_a_second_level(rows):
    counts = conformity_counts(rows)
    assert [counts[f"ibsi2 {name}"].get("met", 0) for name in ("1.A", "1.B", "3.B", "6.B", "7.B")] == [
        15,
        15,
        14,
        15,
        0,
    ]
    assert [row.tag for row in rows if row.configuration == "ibsi2 3.B" and row.verdict == "not met"] == ["stat_max"]


def test_ibsi_s_own_filter_meets_every_statistic_that_ours_misses(rows):
    missed = [row for row in rows if row.configuration in ("ibsi2 3.B", "ibsi2 7.B") and row.verdict == "not met"]
    assert len(missed) == 16
    assert all(row.reason.endswith(", met") for row in missed)


def test_what_is_not_offered_says_what_is_missing(rows):
    assert all(row.reason and row.value is None for row in rows if row.verdict == "not offered")


def test_absent_references_decline_the_analysis_and_say_what_to_download(ledger, tmp_path):
    assert reference_files(tmp_path) is None
    with pytest.raises(MissingInputError, match=r"github.com/theibsi.*COHORTSCOPE_SHARED"):
        key(ledger, None)
    with pytest.raises(ValueError, match=r"conform needs IBSI's phantoms.*github.com/theibsi"):
        conform_all(tmp_path, Features())


def test_the_key_follows_the_files_and_the_settings_and_not_the_place(shared, ledger, tmp_path):
    here = reference_files(shared)
    moved = type(here)(str(tmp_path), here.files)
    assert key(ledger, here) == key(ledger, moved)
    assert key(ledger, here) != key(ledger, type(here)(here.folder, here.files[1:]))
    assert key(ledger, here) != key(ledger, here, Features(bin_origin="ibsi"))


def test_workers_find_the_files_that_the_run_found(shared, tmp_path):
    found = reference_files(shared)
    assert all(Path(file.path).exists() for file in found.files)
    write_sources(tmp_path, Sources(references=found))
    assert read_sources(tmp_path).references == found
