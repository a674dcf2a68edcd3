"""The list of the review page says of a case what the judged mask did, not what some other program's did."""

from __future__ import annotations

from store.queries.agreement import case_agreements, mask_pairs, review_cases
from store.snapshot import close_snapshots, open_snapshot


def test_dsc_and_missed_in_the_list_are_those_of_the_models_own_mask(demo_study):
    snapshot = open_snapshot(demo_study)
    run_id = str(snapshot.rows("SELECT run_id FROM run ORDER BY place DESC").rows[0][0])
    model = str(snapshot.rows("SELECT DISTINCT left(model_sha256, 12) FROM segmentation").rows[0][0])
    listed = {case.case_id: case for case in review_cases(snapshot, run_id)}
    own, others = [], []
    for pair in mask_pairs(snapshot, run_id):
        if pair.comparison == "agreement":
            (own if pair.to_source == model else others).extend(case_agreements(snapshot, run_id, pair, "lobe"))
    close_snapshots()
    assert {case for case, shown in listed.items() if shown.missed} == {row.case_id for row in own if row.missed}
    assert all(shown.dsc == min(row.dsc for row in own if row.case_id == case) for case, shown in listed.items())
    assert any(row.dsc < listed[row.case_id].dsc for row in others)  # region growing did worse somewhere
