"""What two runs selected, read back from a snapshot."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.protocol import Protocol, SelectionProtocol
from store.layout import StudyFolder
from store.ledger import Ledger
from store.publisher import publish
from store.queries.prognosis import self_test
from store.queries.selection import co_selections, frequencies, frequency_at_sizes, selected_runs, shared_top
from store.queries.study import runs
from store.records import PermutedAuc, Selection, SelectionFrequency, SizeStability
from store.snapshot import Snapshot, close_snapshots, open_snapshot
from tests.store.recorded import finish_run, record, start_run

NAME = ("intratumoural", "original", "glcm")


def frequency(feature: str, kept: int) -> SelectionFrequency:
    return SelectionFrequency(*NAME, feature, kept + 1, kept, 4, None)


def taken(number: int, feature: str, rank: int) -> Selection:
    return Selection(number, *NAME, feature, rank, rank == 1, rank)


def read_table(study: Path, run_id: str, key: str = "a" * 64) -> None:
    """A run that got as far as its clinical table, whose content names the key."""
    with Ledger(StudyFolder(study)) as ledger:
        ledger.place_tasks(run_id, "clinical", [("", key)])


@pytest.fixture
def snapshot(tmp_path: Path):
    start_run(tmp_path, "run-1")
    read_table(tmp_path, "run-1")
    sizes = [SizeStability("mrmr", size, 0.1, 0.0, 0.2, 4) for size in (1, 2)]
    record(tmp_path, "run-1", "selection", "", [frequency("A", 3), frequency("B", 2), frequency("C", 0)], sizes)
    for number in range(4):
        ranked = ("A", "B") if number < 3 else ("B", "A")
        record(tmp_path, "run-1", "resample", f"#{number:05d}", [taken(number, f, r) for r, f in enumerate(ranked, 1)])
    finish_run(tmp_path, "run-1")
    start_run(tmp_path, "run-2", protocol=Protocol(selection=SelectionProtocol(schemes=("MIQ",))))
    read_table(tmp_path, "run-2")
    record(tmp_path, "run-2", "selection", "again", [frequency("B", 4), frequency("D", 1)])
    for number in range(2):
        rows = [PermutedAuc(number, "combined", "out-of-bag", 0.4 + 0.2 * number, 5)]
        record(tmp_path, "run-2", "self_test", f"#{number:05d}", rows)
    finish_run(tmp_path, "run-2")
    publish(tmp_path)
    yield open_snapshot(tmp_path)
    close_snapshots()


def test_features_are_ordered_by_how_often_they_were_kept(snapshot: Snapshot):
    assert [row.feature for row in frequencies(snapshot, "run-1")] == ["A", "B", "C"]


def test_the_share_at_a_size_counts_ranks_up_to_it(snapshot: Snapshot):
    found = {(row.feature, row.size): row.count for row in frequency_at_sizes(snapshot, "run-1", 3)}
    assert found == {("A", 1): 3, ("A", 2): 4, ("B", 1): 1, ("B", 2): 4, ("C", 1): 0, ("C", 2): 0}


def test_what_two_runs_share_is_counted_over_kept_features(snapshot: Snapshot):
    found = shared_top(snapshot, "run-1", "run-2", 2)
    assert (found.size, found.shared) == (2, 1)


def test_runs_with_a_selection_are_listed_newest_first(snapshot: Snapshot):
    assert selected_runs(snapshot) == ("run-2", "run-1")


def test_each_set_of_choices_is_one_analysis_in_order_of_its_first_run(snapshot: Snapshot):
    found = {run.run_id: (run.analysis, run.analyses, run.schemes) for run in runs(snapshot)}
    assert found == {"run-1": (1, 2, "FCQ"), "run-2": (2, 2, "MIQ")}


def test_title_and_lock_make_no_new_analysis(tmp_path: Path):
    named = Protocol()
    changed = named.model_copy(update={"study": named.study.model_copy(update={"name": "another"})})
    for run_id, protocol, until in (("run-1", named, ""), ("run-2", changed, ""), ("run-3", named, "measure")):
        start_run(tmp_path, run_id, until, protocol)
        read_table(tmp_path, run_id)
        finish_run(tmp_path, run_id)
    publish(tmp_path)
    found = {run.run_id: (run.analysis, run.analyses) for run in runs(open_snapshot(tmp_path))}
    close_snapshots()
    assert found["run-1"] == found["run-2"] == (1, 1)


def test_a_run_on_other_masks_that_reached_the_comparison_is_one_more_analysis(tmp_path: Path):
    own = Protocol()
    order = {"feature_mask_order": ("reference", "automatic")}
    other = own.model_copy(update={"masks": own.masks.model_copy(update=order)})
    for run_id, protocol, until in (("run-1", own, ""), ("run-2", other, "prognosis"), ("run-3", other, "features")):
        start_run(tmp_path, run_id, until, protocol)
        read_table(tmp_path, run_id)
        if until == "prognosis":
            record(tmp_path, run_id, "resample", "#00000", [taken(0, "A", 1)])
        finish_run(tmp_path, run_id)
    publish(tmp_path)
    found = {run.run_id: (run.analysis, run.analyses) for run in runs(open_snapshot(tmp_path))}
    close_snapshots()
    assert (found["run-1"], found["run-2"]) == ((1, 2), (2, 2))


def test_another_clinical_table_under_the_same_choices_is_one_more_analysis(tmp_path: Path):
    for run_id, table in (("run-1", "a" * 64), ("run-2", "b" * 64), ("run-3", "a" * 64)):
        start_run(tmp_path, run_id, "", Protocol())
        read_table(tmp_path, run_id, table)
        finish_run(tmp_path, run_id)
    start_run(tmp_path, "run-4", "", Protocol())  # cancelled before it read anything
    finish_run(tmp_path, "run-4", "cancelled")
    publish(tmp_path)
    found = {run.run_id: (run.analysis, run.analyses) for run in runs(open_snapshot(tmp_path))}
    close_snapshots()
    assert found == {"run-1": (1, 2), "run-2": (2, 2), "run-3": (1, 2), "run-4": (0, 2)}


def test_the_self_test_is_the_mean_over_permutations(snapshot: Snapshot):
    (row,) = self_test(snapshot)
    assert (row.run_id, row.model, row.repeats, row.resamples) == ("run-2", "combined", 2, 5)
    assert (row.auc, row.lowest, row.highest) == pytest.approx((0.5, 0.4, 0.6))


def test_without_pairs_there_is_nothing_to_map(snapshot: Snapshot):
    assert co_selections(snapshot, "run-1", 10) == ()
