"""Questions about what the resamples selected: frequencies, sizes, groups, pairs, two runs side by side."""

from __future__ import annotations

from dataclasses import dataclass

from store.queries.answers import ask, ask_record
from store.records import ColumnState, CoSelection, FeatureGroup, SelectionFrequency, SizeStability
from store.snapshot import Snapshot


def frequencies(snapshot: Snapshot, run_id: str) -> tuple[SelectionFrequency, ...]:
    """Every feature that some resample took, most often kept first."""
    order = "kept_count DESC, mrmr_count DESC, roi, image_type, feature_class, feature"
    return ask_record(snapshot, SelectionFrequency, "selection_frequency", run_id, order)


def size_stability(snapshot: Snapshot, run_id: str) -> tuple[SizeStability, ...]:
    """Stability of the sets of every size, by step."""
    return ask_record(snapshot, SizeStability, "size_stability", run_id, "step, size")


def feature_groups(snapshot: Snapshot, run_id: str) -> tuple[FeatureGroup, ...]:
    """Often kept features by group, the group kept most often first."""
    return ask_record(snapshot, FeatureGroup, "feature_group", run_id, '"group", kept_count DESC, roi, feature')


def co_selections(snapshot: Snapshot, run_id: str, features: int) -> tuple[CoSelection, ...]:
    """Pairs among the first so many features in the order of groups."""
    sql = """SELECT first, second, first_name, second_name, together, expected, correlation, resamples
    FROM co_selection WHERE run_id = ? AND first < ? AND second < ? ORDER BY first, second"""
    return ask(snapshot, CoSelection, sql, (run_id, features, features))


def column_states(snapshot: Snapshot, run_id: str) -> tuple[ColumnState, ...]:
    """What became of every column of an imported table, those left out first."""
    return ask_record(snapshot, ColumnState, "column_state", run_id, 'state DESC, reason, "column"')


@dataclass(frozen=True, slots=True)
class FrequencyAtSize:
    """How many resamples held a feature among the first `size` of mRMR."""

    roi: str
    image_type: str
    feature_class: str
    feature: str
    size: int
    count: int
    resamples: int


FREQUENCY_AT_SIZE = """
WITH top AS (SELECT roi, image_type, feature_class, feature, resamples,
    row_number() OVER (ORDER BY kept_count DESC, mrmr_count DESC, roi, image_type, feature_class, feature) AS place
  FROM selection_frequency WHERE run_id = $run ORDER BY place LIMIT $limit),
sizes AS (SELECT DISTINCT size FROM size_stability WHERE run_id = $run AND step = 'mrmr'),
taken AS (SELECT roi, image_type, feature_class, feature, mrmr_rank FROM selection WHERE run_id = $run)
SELECT top.roi, top.image_type, top.feature_class, top.feature, sizes.size,
  CAST(count(taken.mrmr_rank) FILTER (taken.mrmr_rank <= sizes.size) AS INTEGER) AS count, top.resamples
FROM top CROSS JOIN sizes LEFT JOIN taken USING (roi, image_type, feature_class, feature)
GROUP BY ALL ORDER BY any_value(top.place), sizes.size
"""


def frequency_at_sizes(snapshot: Snapshot, run_id: str, limit: int) -> tuple[FrequencyAtSize, ...]:
    """The features kept most often, by the size of mRMR's set."""
    given: dict[str, object] = {"run": run_id, "limit": limit}
    return tuple(FrequencyAtSize(**row) for row in snapshot.table(FREQUENCY_AT_SIZE, given).to_pylist())


def selected_runs(snapshot: Snapshot) -> tuple[str, ...]:
    """Runs that selected something, newest first."""
    sql = """SELECT r.run_id FROM run r WHERE EXISTS (SELECT 1 FROM selection_frequency f WHERE f.run_id = r.run_id)
    ORDER BY r.place DESC"""
    return tuple(str(row[0]) for row in snapshot.rows(sql).rows)


def protocol_text(snapshot: Snapshot, run_id: str) -> str:
    """The protocol of a run as JSON, without file names."""
    found = snapshot.rows("SELECT protocol_json FROM run WHERE run_id = ?", (run_id,)).rows
    return str(found[0][0]) if found else "{}"


@dataclass(frozen=True, slots=True)
class SharedTop:
    """How many of the features that two runs kept most often are the same."""

    size: int
    shared: int


SHARED_TOP = """
WITH ranked AS (SELECT run_id, roi, image_type, feature_class, feature, row_number() OVER (PARTITION BY run_id
    ORDER BY kept_count DESC, mrmr_count DESC, roi, image_type, feature_class, feature) AS place
  FROM selection_frequency WHERE run_id IN ($first, $second) AND kept_count > 0),
top AS (SELECT * FROM ranked WHERE place <= $size)
SELECT CAST(max(place) AS INTEGER) AS size,
  CAST(count(*) - count(DISTINCT (roi, image_type, feature_class, feature)) AS INTEGER) AS shared FROM top
"""


def shared_top(snapshot: Snapshot, first: str, second: str, size: int) -> SharedTop:
    """Overlap of the features two runs kept most often."""
    row = snapshot.table(SHARED_TOP, {"first": first, "second": second, "size": size}).to_pylist()[0]
    return SharedTop(row["size"] or 0, row["shared"] or 0)
