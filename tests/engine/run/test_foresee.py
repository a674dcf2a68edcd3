"""What a run would compute is told without running: nothing when all is up to date, one case after one correction.

That the foreseen tasks are then the computed ones is counted in tests/pages/test_review_story.py.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from engine.pipeline import IMAGE_STUDY
from engine.protocol import read_protocol
from engine.review.grants import Grant
from engine.review.nifti_bytes import nifti_gz
from engine.run.choices import change_choices
from engine.run.drawing import save_from_file
from engine.run.foresee import foresee
from engine.run.review_desk import sign_verdict
from engine.run.review_volumes import automatic_tumour
from store.layout import StudyFolder
from store.ledger import Ledger
from store.records import Verdict
from store.volumes import mask_key

STAGES = [stage.name for stage in IMAGE_STUDY]
AFTER_REVIEW = set(STAGES[STAGES.index("review") :])
GRANT = Grant("GET", "", "", "Ben", "work list", 1, ("automatic",), "", (), (0,) * 6, (1, 1, 1), "", "", 0.0, 0.0)


def test_nothing_is_foreseen_before_the_first_run(tmp_path):
    assert foresee(tmp_path).tasks == ()


def test_a_finished_study_is_up_to_date(demo_study):
    assert foresee(demo_study).tasks == ()


def test_a_correction_makes_its_cases_downstream_stale_and_nothing_of_another_case(demo_copy):
    with Ledger(StudyFolder(demo_copy)) as ledger:
        run_id = ledger.latest_run().run_id
        cases = [unit for unit, _, state in ledger.placed(run_id, "segment") if state == "done"]
    case = next(c for c in cases if automatic_tumour(demo_copy, run_id, c).voxels.sum() > 200)
    mask = automatic_tumour(demo_copy, run_id, case)
    voxels = mask.voxels.copy()
    voxels[int(np.flatnonzero(voxels.any(axis=(1, 2)))[0])] = False
    grant = replace(GRANT, run_id=run_id, case_id=case)
    saved = save_from_file(demo_copy, grant, nifti_gz(voxels.astype(np.uint8), mask.grid), "mask.nii.gz")
    words = (case, "tumour", "Ben", "minor", "vessel", "", 30.0, "", mask_key(mask))
    sign_verdict(demo_copy, Verdict(*words, drawn_key=saved.drawn_key))
    found = foresee(demo_copy)
    assert found.cases == (case,)
    assert {stage for stage, _ in found.tasks} <= AFTER_REVIEW
    assert {"review", "readers", "regions", "features", "table"} <= {stage for stage, _ in found.tasks}
    assert found.seconds > 0


def test_words_without_a_signature_make_nothing_stale(demo_copy):
    with Ledger(StudyFolder(demo_copy)) as ledger:
        case = ledger.placed(ledger.latest_run().run_id, "segment")[0][0]
        ledger.audit("Ada", "looked", case)
    assert foresee(demo_copy).tasks == ()


@pytest.mark.parametrize(("judgement", "stale"), [("none", True), ("major", False)])
def test_only_a_word_that_can_change_a_mask_makes_its_case_stale(demo_copy, judgement, stale):
    with Ledger(StudyFolder(demo_copy)) as ledger:
        run_id = ledger.latest_run().run_id
        judged = {verdict.case_id for verdict in ledger.verdicts()}
        done = [unit for unit, _, state in ledger.placed(run_id, "segment") if state == "done"]
    case = next(unit for unit in done if unit not in judged)
    key = mask_key(automatic_tumour(demo_copy, run_id, case))
    reason = "" if judgement == "none" else "vessel"
    sign_verdict(demo_copy, Verdict(case, "tumour", "Ada", judgement, reason, "", 5.0, "", key))
    assert foresee(demo_copy).cases == ((case,) if stale else ())


def test_a_changed_choice_is_the_reason_of_its_stage_and_what_follows_says_so(demo_copy):
    change_choices(demo_copy, "rois", {"ring_mm": 3.0})
    found = {stage.stage: stage for stage in foresee(demo_copy).stages}
    assert found["regions"].changed == ("rois.ring_mm",)
    assert found["regions"].cases == found["regions"].tasks > 0
    assert "regions" in found["features"].follows
    assert "features" in found["table"].follows
    assert not {"acquire", "segment", "review", "description"} & set(found)
    assert all(stage.new == 0 and stage.seconds is not None for stage in found.values())
    assert found["features"].megabytes > 0


def test_what_failed_is_told_apart_from_what_is_stale(demo_copy):
    with Ledger(StudyFolder(demo_copy)) as ledger:
        _, key, _ = next(placed for placed in ledger.placed(ledger.latest_run().run_id, "description"))
        ledger.end_task(key, "failed", "no reason")
    found = foresee(demo_copy)
    assert [(stage.stage, stage.tasks, stage.retried) for stage in found.stages if stage.retried] == [
        ("description", 0, 1)
    ]
    assert "description" not in {stage for stage, _ in found.tasks}


def test_a_study_that_was_never_run_further_has_new_tasks_there(demo_copy):
    change_choices(demo_copy, "selection", {"resamples": read_protocol(demo_copy).selection.resamples + 2})
    resample = next(stage for stage in foresee(demo_copy).stages if stage.stage == "resample")
    assert resample.new == 2
    assert "selection.resamples" in resample.changed
