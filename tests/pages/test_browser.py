"""In a real browser: cold deep links, no request that leaves the host, a click on a point opens its case."""

from __future__ import annotations

from pages.menu import SECTIONS
from tests.pages.conftest import Server

STEMS = [path.rpartition("/")[2].removesuffix(".py") for _, pages in SECTIONS for path, _ in pages]
LOOSE = "0.0.0.0"


def end_of(page) -> None:
    page.wait_for_selector("text=· seed ")


def name_oneself(page) -> None:
    """Say who reads: no case is shown before."""
    field = page.locator("[data-testid=stForm] [data-testid=stSelectbox] input").first
    field.fill("Reader of tests")
    field.press("Enter")
    page.get_by_role("button", name="Begin").click()


def test_cold_deep_link_shows_that_page_and_the_menu(cold_server, page):
    page.goto(f"{cold_server.address}/agreement")
    end_of(page)
    assert page.title() == "Agreement · Cohortscope"
    menu = page.locator("[data-testid=stSidebarNavLink]").all_inner_texts()
    assert len(menu) == len(STEMS)


def test_cold_deep_link_is_closed_when_the_server_listens_to_the_world(demo_study, page):
    server = Server(demo_study, "--server.address", LOOSE)
    try:
        page.goto(f"{server.address}/agreement")
        page.wait_for_selector("text=no sign-in")
        assert "DSC" not in page.inner_text("body")
    finally:
        server.stop()


def test_no_page_asks_another_host_or_breaks(cold_server, page):
    elsewhere, broken = [], []
    ours = (cold_server.address, cold_server.address.replace("http", "ws"), "data:", "blob:")
    page.on("request", lambda request: None if request.url.startswith(ours) else elsewhere.append(request.url))
    page.on("pageerror", lambda error: broken.append(str(error)))
    for stem in STEMS:
        page.goto(f"{cold_server.address}/{stem}")
        if stem == "review":
            name_oneself(page)
            page.wait_for_selector(".viewer[data-key], [data-testid=stImage]")
        end_of(page)
    assert elsewhere == []
    assert broken == []


def test_headers_forbid_other_hosts_and_frames(cold_server, page):
    headers = page.goto(cold_server.address).headers
    assert "default-src 'self'" in headers["content-security-policy"]
    assert headers["x-frame-options"] == "SAMEORIGIN"
    assert headers["x-content-type-options"] == "nosniff"


def test_a_click_on_a_point_opens_its_case(cold_server, page):
    page.goto(f"{cold_server.address}/agreement")
    end_of(page)
    layer = page.locator(".js-plotly-plot .points path.point").first
    layer.wait_for()
    box = layer.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    label = page.locator(".hoverlayer .hovertext").first
    label.wait_for()
    case_id = label.text_content().split("DSC")[0].strip()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.wait_for_url("**/review?case=*")
    name_oneself(page)
    end_of(page)
    assert page.url.endswith(f"case={case_id}")
    assert case_id in page.inner_text("body")


def test_a_box_around_points_lists_their_cases(cold_server, page):
    page.goto(f"{cold_server.address}/agreement")
    end_of(page)
    points = page.locator(".js-plotly-plot").first.locator(".points path.point")
    points.first.wait_for()
    every = page.locator("h3", has_text="Cases (").inner_text()
    boxes = [point.bounding_box() for point in points.all()]
    page.locator(".js-plotly-plot").first.hover()
    page.locator("[data-title='Box Select']").first.click()
    left, right = min(box["x"] for box in boxes), max(box["x"] for box in boxes)
    middle, plot = (left + right) / 2, page.locator(".js-plotly-plot .nsewdrag").first.bounding_box()
    page.mouse.move(middle, plot["y"] + 3)
    page.mouse.down()
    page.mouse.move(plot["x"] + plot["width"] - 3, plot["y"] + plot["height"] - 3, steps=8)
    page.mouse.up()
    inside = sum(middle < box["x"] + box["width"] / 2 for box in boxes)
    assert 0 < inside < len(boxes)
    total = every.rpartition(" ")[2]
    page.wait_for_selector(f"text=Cases ({inside} of {total}")
