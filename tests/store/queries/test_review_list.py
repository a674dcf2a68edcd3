"""The list of the review page says of a case what the judged mask did, not what some other program's did."""

from __future__ import annotations

from store.queries.agreement import case_agreements, mask_pairs, review_cases
from store.snapshot import close_snapshots, open_snapshot


def test_missed_in_the_list_is_missed_by_the_models_own_mask(demo_study):
    snapshot = open_snapshot(demo_study)
    run_id = str(snapshot.rows("SELECT run_id FROM run ORDER BY place DESC").rows[0][0])
    model = str(snapshot.rows("SELECT DISTINCT left(model_sha256, 12) FROM segmentation").rows[0][0])
    listed = {case.case_id for case in review_cases(snapshot, run_id) if case.missed}
    missed, elsewhere = set(), set()
    for pair in mask_pairs(snapshot, run_id):
        gone = {row.case_id for row in case_agreements(snapshot, run_id, pair) if row.missed}
        if pair.comparison == "agreement":
            (missed if pair.to_source == model else elsewhere).update(gone)
    close_snapshots()
    assert listed == missed
    assert elsewhere - missed  # region growing missed others, too
