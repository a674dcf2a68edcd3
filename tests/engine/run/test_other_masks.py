"""The analysis on other masks: only cases whose mask differs are measured again, and no plan's lock covers it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from engine.pipeline import IMAGE_STUDY
from engine.protocol import Features, Masks, Perturb, Plan, Protocol, Segment, Study, read_protocol, write_protocol
from engine.review.grants import Grant
from engine.review.nifti_bytes import nifti_gz
from engine.run.drawing import save_from_file
from engine.run.other_masks import MASKS_END, with_mask_source
from engine.run.plan_lock import locked_protocol
from engine.run.runner import run, run_with_masks
from store.artifacts import Artifacts
from store.export import latest_run_id
from store.layout import StudyFolder
from store.ledger import Ledger
from store.records import Verdict
from store.snapshot import close_snapshots, open_snapshot
from tests.pages.review_study import build_study

CASES = {"plain", "flipped", "permuted", "oblique"}


@pytest.fixture(scope="module")
def four(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Four small scans, one with an adjudicated mask that lacks a slice of the reference, run to the end."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COHORTSCOPE_SHARED", str(tmp_path_factory.mktemp("none")))  # IBSI's references take minutes
        yield make_four(tmp_path_factory)


def make_four(tmp_path_factory: pytest.TempPathFactory) -> Path:
    study = tmp_path_factory.mktemp("four") / "study"
    build_study(study)
    quick = {"features": Features(recipe="original-107"), "perturb": Perturb(preset="none")}
    write_protocol(study, read_protocol(study).model_copy(update=quick))
    result = run(study, backend="inline")
    mask = Artifacts(study).load_masks(result.run_id, "plain", "acquire.references").find("tumour")
    voxels = mask.voxels.copy()
    voxels[int(np.flatnonzero(voxels.any(axis=(1, 2)))[0])] = False
    grant = Grant(
        "PUT", result.run_id, "plain", "Ada", "blank canvas", 1, (), "", (), (0,) * 6, (1, 1, 1), "", "", 0.0, 0.0
    )
    saved = save_from_file(study, grant, nifti_gz(voxels.astype(np.uint8), mask.grid), "mask.nii.gz")
    words = ("plain", "tumour", "Ada", "drawn", "", "", 30.0, "2026-01-01T00:00:00Z", "")
    with Ledger(StudyFolder(study)) as ledger:
        ledger.record_verdict(
            Verdict(*words, role="adjudicator", mode="adjudication", drawn_key=saved.drawn_key), "Ada"
        )
    run(study, backend="inline")
    close_snapshots()
    return study


@pytest.fixture
def study(four, tmp_path):
    yield Path(shutil.copytree(four, tmp_path / "study"))
    close_snapshots()


def sources_of(study: Path, run_id: str) -> dict[str, str]:
    rows = open_snapshot(study).rows(
        "SELECT case_id, mask_source FROM feature_mask WHERE run_id = ? AND structure = 'tumour'", (run_id,)
    )
    return {str(case): str(source) for case, source in rows.rows}


def computed(study: Path, before: set[str]) -> set[tuple[str, str]]:
    with Ledger(StudyFolder(study)) as ledger:
        rows = ledger.rows("SELECT key, stage, unit FROM task WHERE computed > 0")
    return {(str(stage), str(unit)) for key, stage, unit in rows if key not in before}


def keys_of(study: Path) -> set[str]:
    with Ledger(StudyFolder(study)) as ledger:
        return {str(row[0]) for row in ledger.rows("SELECT key FROM task WHERE computed > 0")}


def test_only_the_corrected_case_is_measured_again_and_the_own_run_stays_the_one_that_is_shown(study):
    own = latest_run_id(open_snapshot(study))
    assert sources_of(study, own) == {"plain": "adjudicated"} | dict.fromkeys(CASES - {"plain"}, "reference")
    before = keys_of(study)
    found = run_with_masks(study, "reference", backend="inline")
    assert sources_of(study, found.run_id) == dict.fromkeys(CASES, "reference")
    again = computed(study, before)
    assert {unit for stage, unit in again if stage != "review"} <= {"plain", ""}
    assert {stage for stage, unit in again if unit == "plain"} >= {"review", "description", "regions", "features"}
    assert {unit for stage, unit in again if stage == "review"} == CASES
    assert latest_run_id(open_snapshot(study)) == own
    assert not run_with_masks(study, "reference", backend="inline").failures
    assert computed(study, before) == again


def test_keys_do_not_depend_on_which_run_came_first(study):
    write_protocol(study, read_protocol(study).model_copy(update={"masks": Masks(disagreement="wait")}))
    with pytest.raises(RuntimeError, match="without --masks first"):
        run_with_masks(study, "reference", backend="inline")


def test_a_locked_plan_does_not_cover_other_masks():
    protocol = Protocol(segment=Segment(model="demo"))
    other = with_mask_source(locked_protocol(protocol, "2026-01-01T00:00:00Z", "a test"), "automatic")
    assert other.plan == Plan()
    assert other.masks.feature_mask_order == ("automatic", "reference")
    assert Protocol.model_validate_json(other.model_dump_json()) == other
    assert other.model_copy(update={"masks": protocol.masks}) == protocol


@pytest.mark.parametrize(
    ("protocol", "source", "says"),
    [
        (Protocol(), "automatic", "needs segment.model"),
        (Protocol(study=Study(kind="table")), "reference", "study of images"),
        (Protocol(masks=Masks(feature_mask_order=("reference",))), "reference", "own choice"),
    ],
)
def test_what_cannot_be_repeated_says_why(protocol, source, says):
    with pytest.raises(ValueError, match=says):
        with_mask_source(protocol, source)


def test_such_a_run_ends_before_the_pipeline_does_so_that_it_stands_back():
    assert [stage.name for stage in IMAGE_STUDY].index(MASKS_END) < len(IMAGE_STUDY) - 1
