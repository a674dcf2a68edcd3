"""The meeting in a browser: a figure of a page goes in with its filters, is shown large, a case is a click away."""

from __future__ import annotations

import json
from urllib.parse import parse_qs, urlparse

import pytest
from playwright.sync_api import expect

from store.meeting import basket, decisions
from store.reviews import ADJUDICATION, open_ledger
from tests.pages.conftest import Server, settled

OWNER = "this computer"


@pytest.fixture
def server(demo_copy):
    server = Server(demo_copy)
    yield server
    server.stop()


def address_of(page) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlparse(page.url).query).items()}


def wait_for(page, condition) -> None:
    for _ in range(100):
        if condition():
            return
        page.wait_for_timeout(100)
    raise AssertionError(page.url)


def test_a_figure_goes_into_the_meeting_and_a_case_is_one_click_away_and_back(server, demo_copy, page):
    page.goto(f"{server.address}/agreement")
    page.wait_for_selector("text=· seed ")
    page.get_by_role("button", name="Add to meeting").first.click()
    wait_for(page, lambda: len(basket(demo_copy, OWNER)) == 1)
    item = basket(demo_copy, OWNER)[0]
    assert (item.page, item.figure_key.split("-")[0]) == ("agreement", "driver")
    assert json.loads(item.filters_json)["agreement-measure"] == "dsc"

    page.goto(f"{server.address}/meeting")
    settled(page)
    page.get_by_role("button", name="Present", exact=True).click()
    page.wait_for_selector(".points path.point")
    assert address_of(page) == {"present": "1", "item": "1", "of": OWNER}
    assert not page.locator("[data-testid=stSidebar]").is_visible()
    point = page.locator(".points path.point").first.bounding_box()
    page.mouse.click(point["x"] + point["width"] / 2, point["y"] + point["height"] / 2)
    page.get_by_role("button", name="Back to the figure").wait_for()
    expect(page.get_by_label("Title of figure 1")).to_be_hidden()
    settled(page)
    case_id = address_of(page)["case"]
    page.get_by_label("Decision").fill("repeat the scan")
    page.get_by_role("button", name="Note it").click()
    wait_for(page, lambda: [d.case_id for d in decisions(demo_copy)] == [case_id])
    page.get_by_role("button", name="Sign as consensus").click()
    page.wait_for_selector("text=Not signed")
    page.get_by_text("None", exact=True).click()
    page.get_by_text("The automatic outline", exact=True).click()
    page.get_by_label("Signed by").fill("The team")
    page.get_by_role("button", name="Sign as consensus").click()
    page.wait_for_selector("text=counts as adjudicated")
    with open_ledger(demo_copy) as ledger:
        last = ledger.verdicts(case_id)[-1]
    assert (last.role, last.mode, last.reader, last.judgement) == ("adjudicator", ADJUDICATION, "The team", "none")
    page.get_by_role("button", name="Back to the figure").click()
    page.wait_for_selector(".points path.point")
    assert "case" not in address_of(page)


def test_arrow_keys_turn_the_pages_and_the_address_keeps_the_place(server, demo_copy, page):
    page.goto(f"{server.address}/meeting")
    page.get_by_role("button", name="Fill with the figures of the paper").click()
    wait_for(page, lambda: len(basket(demo_copy, OWNER)) > 10)
    page.goto(f"{server.address}/meeting?present=1&item=2&of={OWNER}&look=dark")
    page.wait_for_selector("text=2 of ")
    page.keyboard.press("ArrowRight")
    page.wait_for_selector("text=3 of ")
    assert address_of(page)["item"] == "3"
    page.keyboard.press("ArrowLeft")
    page.wait_for_selector("text=2 of ")
    assert address_of(page)["look"] == "dark"
    shade = page.evaluate("getComputedStyle(document.querySelector('[data-testid=stApp]')).backgroundColor")
    assert shade == "rgb(20, 24, 28)"
    page.keyboard.press("Escape")
    page.wait_for_selector("text=What do we show")


def test_titles_notes_and_order_of_the_meeting_can_be_edited(show, demo_copy):
    app = show(demo_copy, "present/meeting.py")
    app.button[0].click().run()
    owner = "reader of tests"
    before = [item.title for item in basket(demo_copy, owner)]
    assert len(before) > 10
    first = basket(demo_copy, owner)[0]
    app.text_input(key=f"meeting-title-{first.item_id}").set_value("Who is in").run()
    app.text_area(key=f"meeting-note-{first.item_id}").set_value("begin here").run()
    app.button(key=f"meeting-Down-{first.item_id}").click().run()
    found = basket(demo_copy, owner)
    assert [item.title for item in found[:2]] == [before[1], "Who is in"]
    assert found[1].note == "begin here"
    app.button(key=f"meeting-drop-{first.item_id}").click().run()
    assert len(basket(demo_copy, owner)) == len(before) - 1


def test_the_overview_gives_headline_figures_with_their_intervals_and_what_waits(show, demo_study):
    app = show(demo_study, "study/home.py")
    assert not app.exception
    names = {metric.label: (metric.value, metric.delta) for metric in app.metric}
    assert names["DSC, all cases"][1].startswith("95 % CI")
    assert "n = " in names["DSC, all cases"][1]
    assert any("Nothing is being computed" in text.value for text in app.markdown)
    assert any("that no reader has judged" in link.proto.label for link in app.get("page_link"))


def test_the_report_page_shows_the_paper_the_methods_and_the_checklists(show, demo_study):
    app = show(demo_study, "present/report.py")
    assert not app.exception
    text = "\n".join(element.value for element in app.markdown)
    assert "**Segmentation.**" in text
    assert "CLEAR: evidence was found for" in text
    assert "0.84 ± 0.28" in list(app.table[0].value["The paper"])


def test_a_page_of_patients_says_research_use_only(show, demo_study):
    app = show(demo_study, "segmentation/agreement.py")
    assert any("Research use only" in caption.value for caption in app.caption)
