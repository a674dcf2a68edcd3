"""Review in a real browser: what is drawn is what is stored, tokens hold, nothing leaves the host."""

from __future__ import annotations

import dataclasses
import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from engine.geometry import cropped_grid, grid_of, same_grid
from engine.review.grants import Grant, session_digest, token_of
from engine.review.nifti_bytes import nifti_gz
from engine.run.review_volumes import viewer_secret
from pages.volume_routes import DRAWN_ON, images_key
from store.audit import audit_lines, verify_audit
from store.layout import StudyFolder
from store.ledger import Ledger
from store.queries.images import load_ct
from store.reviews import load_drawn, reading_order
from tests.conftest import command_line
from tests.pages.conftest import Server, settled
from tests.pages.review_study import (
    DIRECTIONS,
    SHAPE_ZYX,
    WAIT_MS,
    build_study,
    draw_on_axial,
    drawn_points,
    enter,
    key_of,
    mask_points,
    masks_of,
    name_again,
    press,
    save,
    take_pen,
    viewer_of,
)

TRIANGLE = ((0.35, 0.35), (0.6, 0.4), (0.45, 0.65))
SMALL = ((0.2, 0.2), (0.3, 0.22), (0.25, 0.3))


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("directions") / "study"
    build_study(folder)
    command_line("run", str(folder), "--until", "review")
    return folder


@pytest.fixture(scope="module")
def server(study: Path) -> Iterator[Server]:
    served = Server(study)
    yield served
    served.stop()


def verdicts_once(study: Path, number: int) -> list:
    """All verdicts, as soon as there are so many."""
    deadline = time.monotonic() + WAIT_MS / 1000
    while True:
        with Ledger(StudyFolder(study)) as ledger:
            found = ledger.verdicts()
        if len(found) >= number or time.monotonic() > deadline:
            return found
        time.sleep(0.2)


def test_a_stroke_is_exactly_the_drawn_voxels_however_the_scan_lies(study, server, page):
    enter(page, f"{server.address}/review", "Ada", "Blank canvas")
    shown, seen = "", set()
    for number in range(1, len(DIRECTIONS) + 1):
        page.wait_for_selector(f"text=reading {number} of {len(DIRECTIONS)}")
        viewer = viewer_of(page, shown)
        shown = key_of(page)
        take_pen(viewer, "draw")
        draw_on_axial(page, viewer, TRIANGLE)
        drawn = drawn_points(viewer)
        save(viewer, 1)
        stored = masks_of(study, "Ada")[-1]
        mask = load_drawn(StudyFolder(study), stored.drawn_key)
        assert len(drawn) > 20
        assert mask_points(mask) == drawn
        assert (mask.origin, mask.source) == ("independent", "Ada")
        seen.add(stored.case_id)
        page.get_by_role("button", name="Sign this contour").click()
    page.wait_for_selector(f"text={len(DIRECTIONS)} signed")
    assert seen == set(DIRECTIONS)
    assert {v.case_id for v in verdicts_once(study, len(DIRECTIONS))} == set(DIRECTIONS)
    with Ledger(StudyFolder(study)) as ledger:
        order = reading_order(ledger, "Ada", "blank canvas")
        assert {case for case, _ in order} == {v.case_id for v in ledger.verdicts()}


def test_a_save_while_the_server_is_gone_is_said_to_be_not_stored_and_the_drawing_comes_back(study, page):
    server = Server(study)
    try:
        enter(page, f"{server.address}/review", "Gwen", "Blank canvas")
        page.wait_for_selector(f"text=reading 1 of {len(DIRECTIONS)}")
        viewer = viewer_of(page)
        take_pen(viewer, "draw")
        draw_on_axial(page, viewer, TRIANGLE)
        drawn = drawn_points(viewer)
        server.stop()
        press(viewer, "save")
        page.wait_for_selector("text=NOT stored")
        assert not masks_of(study, "Gwen")
        server.start()
        name_again(page, "Gwen")  # the canvas that she has begun
        page.locator(".viewer[data-restored]").wait_for(timeout=WAIT_MS)
        again = viewer_of(page)
        assert drawn_points(again) == drawn
        deadline = time.monotonic() + WAIT_MS / 1000
        while not masks_of(study, "Gwen") and time.monotonic() < deadline:
            press(again, "save")  # refused once more where the permission is from before the restart
            page.wait_for_timeout(4000)
    finally:
        server.stop()
    stored = masks_of(study, "Gwen")[0]
    assert mask_points(load_drawn(StudyFolder(study), stored.drawn_key)) == drawn


def grant(study: Path, **changed: object) -> Grant:
    """What Ada may fetch of the plain scan; without a browser there is no session cookie."""
    with Ledger(StudyFolder(study)) as ledger:
        run_id = ledger.latest_run().run_id
    box = (0, SHAPE_ZYX[0], 0, SHAPE_ZYX[1], 0, SHAPE_ZYX[2])
    whole = Grant(
        *("GET", run_id, "plain", "Ada", "work list", 1, ("lungs", "reference"), "", (), box, (1, 1, 1)),
        *(session_digest(""), "named himself", time.time() + 60, time.time() + 3600),
    )
    return dataclasses.replace(whole, **changed)


def answer_of(
    server: Server, method: str, path: str, token: str, body: bytes | None = None, drawn_on: str = ""
) -> tuple[int, bytes]:
    headers = {DRAWN_ON: drawn_on, **({"Authorization": f"Bearer {token}"} if token else {})}
    request = urllib.request.Request(f"{server.address}/volumes/{path}", body, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


@pytest.mark.parametrize("path", ["ct", "layers", "drawing", "error", "prior"])
def test_a_volume_is_given_for_a_living_token_only(study, server, path):
    key = viewer_secret(study)
    status, body = answer_of(server, "GET", path, token_of(key, grant(study)))
    none_there = path == "prior"  # no patient of this study was scanned before
    assert (status, body[:2]) == ((404, b"no") if none_there else (200, b"\x1f\x8b"))
    for token in (
        "",
        token_of(key, grant(study, expires_at=time.time() - 1)),
        token_of(b"another study's key" * 2, grant(study)),
        token_of(key, grant(study, session=session_digest("another browser"))),
        token_of(key, grant(study, method="PUT")),
    ):
        assert answer_of(server, "GET", path, token) == (403, b"forbidden")


def reads(study: Path, reader: str) -> list[tuple[str, str]]:
    """What the audit says that a reader was given of patients' images: action and case."""
    return [(line.action, line.detail) for line in audit_lines(study, 10_000) if line.actor == reader]


def test_each_fetch_of_images_is_one_line_of_the_audit_and_a_refused_one_is_none(study, server):
    key, own = viewer_secret(study), grant(study, reader="Kim")
    before = verify_audit(study).lines
    for wrong in (
        "",
        token_of(key, dataclasses.replace(own, expires_at=time.time() - 1)),
        token_of(b"another study's key" * 2, own),
        token_of(key, dataclasses.replace(own, session=session_digest("another browser"))),
        token_of(key, dataclasses.replace(own, method="PUT")),
    ):
        assert answer_of(server, "GET", "ct", wrong) == (403, b"forbidden")
    assert answer_of(server, "GET", "ct", token_of(key, dataclasses.replace(own, case_id="nobody")))[0] == 404
    assert (reads(study, "Kim"), verify_audit(study).lines) == ([], before)
    for path in ("ct", "layers", "drawing"):
        assert answer_of(server, "GET", path, token_of(key, own))[0] == 200
    assert reads(study, "Kim") == [("view images", "plain")]
    assert verify_audit(study).whole


def test_who_opens_a_case_or_takes_its_ct_away_is_in_the_audit_by_name(study, server, page):
    enter(page, f"{server.address}/review?case=oblique", "Lea")
    viewer_of(page)
    assert reads(study, "Lea") == [("view images", "oblique")]
    page.get_by_text("Mask as a file").click()
    with page.expect_download() as taken:
        page.get_by_role("button", name="CT (NIfTI)").click()
    assert taken.value.failure() is None
    assert reads(study, "Lea")[1:] == [("export images", "oblique: CT as NIfTI")]
    page.get_by_role("button", name="Another reader").click()
    name_again(page, "Max")
    viewer_of(page)
    page.get_by_text("Simple slices").click()
    page.wait_for_selector("[data-testid=stImage] img")
    page.get_by_label("Mediastinum").check(force=True)
    settled(page)
    seen = reads(study, "Max")
    assert seen == [("view images", seen[0][1])] * 2  # by the viewer's route, and as slices
    assert seen[0][1] != "oblique"  # his own first case: the address that Lea left does not lead him


def test_the_fetched_ct_is_the_scan_itself(study, server, tmp_path):
    _, body = answer_of(server, "GET", "ct", token_of(viewer_secret(study), grant(study, case_id="oblique")))
    (tmp_path / "ct.nii.gz").write_bytes(body)
    fetched, ours = (sitk.ReadImage(str(p)) for p in (tmp_path / "ct.nii.gz", study / "images/oblique_image.nii.gz"))
    assert (sitk.GetArrayFromImage(fetched) == sitk.GetArrayFromImage(ours)).all()
    assert same_grid(grid_of(fetched), grid_of(ours))


def test_a_drawing_is_taken_for_a_token_that_may_send_and_on_its_own_grid_only(study, server):
    key, box = viewer_secret(study), (2, 12, 3, 13, 4, 14)
    own = grant(study, method="PUT", box=box, reader="Hal", layers=("lungs",))
    with Ledger(StudyFolder(study)) as ledger:
        grid = load_ct(study, ledger.latest_run().run_id, "plain").grid
    cut = cropped_grid(grid, (slice(2, 12), slice(3, 13), slice(4, 14)))
    body = nifti_gz(np.ones((10, 10, 10), np.uint8), cut)
    moved = nifti_gz(np.ones((10, 10, 10), np.uint8), dataclasses.replace(cut, origin_mm=grid.origin_mm))
    soft = nifti_gz(np.full((10, 10, 10), 0.5, np.float32), cut)
    assert answer_of(server, "PUT", "drawing", token_of(key, grant(study)), body)[0] == 403
    of = images_key(own)
    for wrong in (moved, soft, body[: len(body) // 2], b"", b"no image"):
        assert answer_of(server, "PUT", "drawing", token_of(key, own), wrong, of)[0] == 422
    others = [dataclasses.replace(own, case_id="oblique"), dataclasses.replace(own, reading=2), grant(study)]
    for other in ("", *map(images_key, others)):
        assert answer_of(server, "PUT", "drawing", token_of(key, own), body, other)[0] == 409
    assert masks_of(study, "Hal") == []
    assert answer_of(server, "PUT", "drawing", token_of(key, own), body, of)[0] == 200
    (saved,) = masks_of(study, "Hal")
    assert saved.voxels == 1000
    kept = load_drawn(StudyFolder(study), saved.drawn_key).voxels
    assert kept[2:12, 3:13, 4:14].all()
    assert kept.sum() == 1000


def test_a_preview_of_blocks_cannot_be_drawn_on(study, server):
    own = grant(study, method="PUT", stride=(1, 2, 2), reader="Ida")
    status, body = answer_of(server, "PUT", "drawing", token_of(viewer_secret(study), own), b"x", images_key(own))
    assert status == 422
    assert b"preview" in body


def test_a_sign_of_life_gives_fresh_tokens_and_counts_time(study, server):
    own = grant(study, method="POST", reader="Jo")
    status, body = answer_of(server, "POST", "alive", token_of(viewer_secret(study), own), b"")
    assert status == 200
    fresh = json.loads(body)["GET"]
    assert answer_of(server, "GET", "ct", fresh)[0] == 200
    ended = dataclasses.replace(own, ends_at=time.time() - 1)
    _, body = answer_of(server, "POST", "alive", token_of(viewer_secret(study), ended), b"")
    assert answer_of(server, "GET", "ct", json.loads(body)["GET"])[0] == 403


def test_without_a_name_a_cold_deep_link_shows_nothing_of_the_case(study, page):
    cold = Server(study)
    try:
        asked = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(f"{cold.address}/review?case=plain")
        page.wait_for_selector("text=Say who you are")
        assert page.locator(".viewer, [data-testid=stImage]").count() == 0
        assert not [url for url in asked if "/volumes/" in url]
        assert not [url for url in asked if not url.startswith((cold.address, cold.address.replace("http", "ws")))]
    finally:
        cold.stop()


def test_the_key_o_hides_the_outlines_and_brings_the_same_ones_back(server, page):
    enter(page, f"{server.address}/review?case=plain", "Ora")
    viewer = viewer_of(page)
    boxes = viewer.locator("label.layer input:not(:disabled)")
    shown = "found => found.filter(box => box.checked).map(box => box.name)"
    first = boxes.evaluate_all(shown)
    assert first
    viewer.locator("canvas").first.hover()
    for expected in ([], first, []):
        page.keyboard.press("o")
        assert boxes.evaluate_all(shown) == expected
