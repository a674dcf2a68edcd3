"""The whole story in one browser: two readers judge blind, one corrects, kappa appears, one click brings it in."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page

from engine.pipeline import IMAGE_STUDY
from engine.run.foresee import foresee
from engine.run.review_volumes import automatic_tumour
from store.layout import StudyFolder
from store.ledger import Ledger, running
from store.queries.agreement import case_agreements, mask_pairs
from store.snapshot import close_snapshots, open_snapshot
from tests.pages.conftest import Server, settled
from tests.pages.review_study import (
    WAIT_MS,
    Addresses,
    choose_option,
    draw_on_axial,
    enter,
    key_of,
    save,
    take_pen,
    viewer_of,
)

JUDGED = 5
STAGES = [stage.name for stage in IMAGE_STUDY]
AFTER_REVIEW = set(STAGES[STAGES.index("review") :])
RUN_SECONDS = 900
CLICK_SECONDS = 20
KEYS = {"Minor": "2", "Major": "3"}
READERS = ("Ada Quillfeather", "Ben Zwickmeyer")  # names that stand in no address by chance


@pytest.fixture
def server(demo_copy: Path) -> Iterator[Server]:
    served = Server(demo_copy)
    yield served
    served.stop()
    close_snapshots()


def verdicts_of(study: Path, reader: str) -> list:
    with Ledger(StudyFolder(study)) as ledger:
        return [verdict for verdict in ledger.verdicts() if verdict.reader == reader]


def sign(page: Page, is_signed) -> None:
    """Press Sign until it is: Streamlit can lose a click while the page runs again, and a reader presses again."""
    deadline = time.monotonic() + WAIT_MS / 1000
    while not is_signed():
        assert time.monotonic() < deadline, "waited in vain"
        settled(page)
        page.get_by_role("button", name="Sign").click()
        again = time.monotonic() + CLICK_SECONDS
        while not is_signed() and time.monotonic() < again:
            time.sleep(0.2)


def unjudged(study: Path) -> tuple[str, list[str]]:
    """The latest run, and the first cases of which the simulated readers of the demo said nothing."""
    with Ledger(StudyFolder(study)) as ledger:
        run_id = ledger.latest_run().run_id
        judged = {verdict.case_id for verdict in ledger.verdicts()}
        found = [unit for unit, _, state in ledger.placed(run_id, "segment") if state == "done" and unit not in judged]
    return run_id, [case for case in found if automatic_tumour(study, run_id, case).voxels.any()][:JUDGED]


def judge_all(page: Page, address: str, study: Path, reader: str, words: dict[str, str]) -> None:
    """Judge cases: the key of the word, the reason, sign; what the other said stays hidden until then."""
    for number, (case, word) in enumerate(words.items(), start=1):
        if number == 1:
            enter(page, f"{address}/review?case={case}", reader)
        else:
            choose_option(page, "Case", case)
        page.wait_for_selector(f"text=Verdicts on {case} (0)")
        assert (page.get_by_text("hidden until you have signed").count() > 0) == (reader == READERS[1])
        page.get_by_role("heading", name="Is this outline right?").click()
        page.keyboard.press(KEYS[word])
        page.locator("[data-testid=stBaseButton-primary]", has_text=word).wait_for()
        choose_option(page, "Reason", "vessel")
        sign(page, lambda number=number: len(verdicts_of(study, reader)) == number)
        page.get_by_role("heading", name=f"Verdicts on {case}").wait_for(state="detached")  # it goes on by itself


def correct(page: Page, study: Path, case: str) -> None:
    """Change a signed verdict: rub out a piece of the automatic mask, save it, say why, sign."""
    shown = key_of(page)
    choose_option(page, "Case", case)
    page.wait_for_selector("text=You signed on")
    page.get_by_role("button", name="Change it").click()
    page.get_by_label("Why it changes").wait_for()
    viewer = viewer_of(page, shown)
    take_pen(viewer, "erase")
    draw_on_axial(page, viewer, centre_of(viewer))
    save(viewer, 1)
    page.wait_for_selector("text=Your correction is version 1")
    why = page.get_by_label("Why it changes")
    why.fill("a vessel was included")
    why.press("Enter")
    sign(page, lambda: verdicts_of(study, READERS[1])[-1].drawn_key)


def centre_of(viewer: Locator) -> tuple[tuple[float, float], ...]:
    """A small square around the crosshair, which opens on the tumour, as shares of the axial tile."""
    x, y = viewer.evaluate(
        """host => { const nv = host.viewer.nv, p = nv.scene.crosshairPos
        const i = nv.screenSlices.findIndex(s => s.axCorSag === 0)
        const [l, t, w, h] = nv.screenSlices[i].leftTopWidthHeight, left = Math.min(l, l + w), width = Math.abs(w)
        const at = u => nv.screenXY2TextureFrac(left + u * width, t + h / 2, i, false)[0]
        const up = v => nv.screenXY2TextureFrac(left + width / 2, t + v * h, i, false)[1]
        const solve = (f, goal) => 0.25 + 0.5 * (goal - f(0.25)) / (f(0.75) - f(0.25))
        return [solve(at, p[0]), solve(up, p[1])] }"""
    )
    d = 0.03
    return ((x - d, y - d), (x + d, y - d), (x + d, y + d), (x - d, y + d))


def test_two_readers_judge_one_corrects_and_one_click_brings_it_in(browser, server, demo_copy):
    first_run, cases = unjudged(demo_copy)
    words = (["Minor", "Minor", "Minor", "Major", "Major"], ["Minor", "Major", "Minor", "Major", "Minor"])
    said = dict(zip(READERS, words, strict=True))
    asked: list[Addresses] = []
    for reader, words in said.items():
        context = browser.new_context(viewport={"width": 1440, "height": 900})
        asked.append(Addresses(context))
        page = context.new_page()
        page.set_default_timeout(WAIT_MS)
        judge_all(page, server.address, demo_copy, reader, dict(zip(cases, words, strict=True)))
    assert foresee(demo_copy).tasks == ()
    correct(page, demo_copy, cases[2])
    foreseen = foresee(demo_copy)
    assert foreseen.cases == (cases[2],)
    with Ledger(StudyFolder(demo_copy)) as ledger:
        before = dict(ledger.rows("SELECT key, computed FROM task"))
    settled(page)  # it goes on by itself after the signature; a click in that moment is lost
    page.get_by_role("button", name="Bring up to date").click()
    second_run = finished_run(demo_copy, first_run)
    with Ledger(StudyFolder(demo_copy)) as ledger:
        rows = ledger.rows(
            "SELECT p.stage, p.unit, p.key, t.computed FROM placement p JOIN task t USING (key) WHERE p.run_id=?",
            (second_run,),
        )
    computed = {(stage, unit) for stage, unit, key, count in rows if count != before.get(key, 0)}
    assert computed == set(foreseen.tasks)
    assert {stage for stage, _ in computed} <= AFTER_REVIEW
    (pair,) = [p for p in mask_pairs(open_snapshot(demo_copy), second_run) if p.comparison == "edit_distance"]
    (row,) = case_agreements(open_snapshot(demo_copy), second_run, pair, "lobe")
    assert (pair.from_source, row.case_id) == (READERS[1], cases[2])
    assert 0 < row.dsc < 1
    page.goto(f"{server.address}/readers")
    page.wait_for_selector("text=weighted kappa")
    page.goto(f"{server.address}/agreement")
    choose_option(page, "Masks", f"vs {READERS[1]}")
    page.wait_for_selector(f"text=/Over all 1 the mean edit distance .as DSC. is {row.dsc:.2f}/")
    for addresses in asked:
        assert len(addresses.found) > 20
        assert addresses.elsewhere(server.address) == []
        assert addresses.naming(*(name.rpartition(" ")[2] for name in READERS)) == []
        assert {url.partition("?")[0] for url in addresses.naming(*cases)} == {f"{server.address}/review"}


def finished_run(study: Path, before: str) -> str:
    """The run that the click started, once it is over."""
    deadline = time.monotonic() + RUN_SECONDS
    while time.monotonic() < deadline:
        with Ledger(StudyFolder(study)) as ledger:
            latest = ledger.latest_run()
        if latest.run_id != before and latest.state == "finished" and not running(study):
            return latest.run_id
        time.sleep(0.5)
    raise AssertionError("the run did not finish")
