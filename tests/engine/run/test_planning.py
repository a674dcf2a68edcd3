"""Keys depend on content and choices only; the pipelines are whole."""

import dataclasses

import pytest

from engine.pipeline import IMAGE_STUDY, TABLE_STUDY, until
from engine.protocol import Protocol, Rois, SelectionProtocol, Study
from engine.run.planning import Plan, task_key
from engine.run.sources import Sources
from engine.run.stage import check_pipeline
from store.layout import StudyFolder
from store.ledger import Ledger, RunRow
from store.sources import CaseSource, SourceFile

FILE = SourceFile("CT image", "/somewhere/LUNG1-001/image.nii.gz", "a" * 64)
CASE = CaseSource("AAAA", "files", (FILE,))


def plan(protocol=None, case=CASE):
    return Plan("run-1", IMAGE_STUDY, protocol or Protocol(), Sources((case,)), "")


@pytest.fixture
def ledger(tmp_path):
    with Ledger(StudyFolder(tmp_path)) as opened:
        opened.start_run(RunRow("run-1", "", None, "running", "p", "{}", "", 1, 1, "", "host"), "", "{}")
        yield opened


@pytest.mark.parametrize("pipeline", [IMAGE_STUDY, TABLE_STUDY])
def test_every_input_is_made_by_an_earlier_stage(pipeline):
    check_pipeline(pipeline)


def test_the_key_of_a_case_does_not_know_its_name_or_place(ledger):
    other = CaseSource("BBBB", "files", (dataclasses.replace(FILE, path="/elsewhere/x.nii.gz"),))
    assert task_key(plan(), IMAGE_STUDY[0], "AAAA", ledger) == task_key(
        plan(case=other), IMAGE_STUDY[0], "BBBB", ledger
    )


def test_the_key_changes_with_one_byte_of_the_source(ledger):
    other = CaseSource("AAAA", "files", (dataclasses.replace(FILE, sha256="b" * 64),))
    assert task_key(plan(), IMAGE_STUDY[0], "AAAA", ledger) != task_key(
        plan(case=other), IMAGE_STUDY[0], "AAAA", ledger
    )


def test_the_key_ignores_choices_its_stage_does_not_read(ledger):
    changed = Protocol(rois=Rois(ring_mm=3.0), selection=SelectionProtocol(trees=50))
    assert task_key(plan(), IMAGE_STUDY[0], "AAAA", ledger) == task_key(plan(changed), IMAGE_STUDY[0], "AAAA", ledger)


def test_a_stage_without_randomness_ignores_the_seed(ledger):
    reseeded = Protocol(study=Study(seed=1))
    assert task_key(plan(), IMAGE_STUDY[0], "AAAA", ledger) == task_key(plan(reseeded), IMAGE_STUDY[0], "AAAA", ledger)


def test_until_takes_phases_and_stages_and_refuses_others():
    assert until(IMAGE_STUDY, "measure")[-1].name == "features"
    assert until(IMAGE_STUDY, "regions")[-1].name == "regions"
    with pytest.raises(ValueError, match="--until takes one of"):
        until(IMAGE_STUDY, "nowhere")
