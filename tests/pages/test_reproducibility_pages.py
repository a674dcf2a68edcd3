"""The pages Reproducibility and Batches on a small recorded study: what they say and how controls re-read them."""

from __future__ import annotations

import dataclasses

import pytest

from store.publisher import publish
from store.records import BatchIcc, BatchLevel, BatchOutcome, BatchPoint, BatchVariance, PerturbationEffect
from tests.store.recorded import finish_run, icc_row, record, start_run


@pytest.fixture
def recorded(tmp_path):
    start_run(tmp_path, "run-1")
    rows = [icc_row("intratumoural", family) for family in ("random", "fixed")]
    effects = [PerturbationEffect("intratumoural", "noise-1", "random", "noise", 10, 1, 1, 0.1, 1.0, 1.0, 0.0, 0)]
    record(tmp_path, "run-1", "reproducibility", "", rows, effects)
    points = [
        BatchPoint(case, "kernel", level, "intratumoural", state, 1.0, 2.0, 0.5, 0.2)
        for case, level in (("A", "sharp"), ("B", "soft"))
        for state in (False, True)
    ]
    name = ("intratumoural", "original", "glcm", "Entropy")
    record(
        tmp_path,
        "run-1",
        "batch",
        "",
        [BatchLevel("kernel", "sharp", 20, 18, 2), BatchLevel("kernel", "soft", 40, 10, 30)],
        [BatchOutcome("kernel", 2, 60, 0.59, True, True, "")],
        [BatchVariance("kernel", *name, 60, 2, 0.4, 0.01)],
        points,
        [BatchIcc("kernel", *name, "random", 10, 0.8, 0.7)],
    )
    finish_run(tmp_path, "run-1")
    publish(tmp_path)
    return tmp_path


def said(app):
    return "\n".join(str(e.value) for kind in (app.title, app.markdown, app.caption) for e in kind)


def test_reproducibility_answers_and_another_form_re_reads_it(show, recorded):
    app = show(recorded, "features/reproducibility.py")
    assert not app.exception
    assert "(0 of 1)" in said(app)  # the random family's ICC(1,1) is 0.05
    assert "**noise-1** hurts intratumoural most" in said(app)
    app.sidebar.radio(key="icc-form").set_value("icc31").run()
    assert not app.exception
    assert "(1 of 1)" in said(app)
    app.session_state["reproducibility-tabs"] = "What the threshold leaves"
    assert "This is a look" in said(app.run())


def test_with_no_declared_family_tested_the_page_says_so_and_stays_whole(show, tmp_path):
    start_run(tmp_path, "run-1")
    shown = dataclasses.replace(icc_row("intratumoural", "readers"), declared=False)
    record(tmp_path, "run-1", "reproducibility", "", [shown])
    finish_run(tmp_path, "run-1")
    publish(tmp_path)
    app = show(tmp_path, "features/reproducibility.py")
    assert not app.exception
    assert "No feature was tested." in said(app)
    app.sidebar.radio(key="icc-family").set_value("readers").run()
    assert not app.exception
    assert "(1 of 1)" in said(app)


def test_batches_say_first_whether_outcome_goes_with_them(show, recorded):
    app = show(recorded, "features/batch.py")
    assert not app.exception
    assert "Outcome goes with kernel" in app.markdown[0].value
    assert "**1** times without and **0** times with ComBat" in said(app)
