"""A study of four small scans that lie differently in space, and how a reader works on it in a browser."""

from __future__ import annotations

import re
import time
from base64 import urlsafe_b64decode
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote_plus

import numpy as np
import SimpleITK as sitk
from playwright.sync_api import BrowserContext, Error, Locator, Page, expect

from engine.geometry import index_to_points_mm
from engine.protocol import Images, Protocol, Study, write_protocol
from store.layout import StudyFolder
from store.ledger import Ledger
from store.records import DrawnMask, Verdict
from store.reviews import drawn_masks
from store.volumes import Mask
from tests.pages.conftest import settled

SHAPE_ZYX = (28, 36, 40)
SPACING = (2.5, 2.0, 3.0)
WAIT_MS = 120_000
LIST_MS = 10_000
TURN = np.deg2rad(12.0)
DIRECTIONS = {
    "plain": np.eye(3),
    "flipped": np.diag([-1.0, 1.0, -1.0]),
    "permuted": np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]),
    "oblique": np.array([[1, 0, 0], [0, np.cos(TURN), -np.sin(TURN)], [0, np.sin(TURN), np.cos(TURN)]]),
}


def build_study(folder: Path, directions: Mapping[str, np.ndarray] = DIRECTIONS) -> None:
    """Air in soft tissue with a ball in it, once for each direction; the reference is the ball."""
    images = folder / "images"
    images.mkdir(parents=True)
    z, y, x = np.indices(SHAPE_ZYX)
    ball = ((x - 20) ** 2 + (y - 18) ** 2 + (z - 14) ** 2) < 5**2
    hu = np.full(SHAPE_ZYX, -1000, np.int16)
    hu[3:-3, 3:-3, 3:-3] = 40
    hu[5:-5, 5:-5, 5:-5] = -850
    hu[ball] = 30
    for name, direction in directions.items():
        for stem, array in (("image", hu), ("tumour", ball.astype(np.uint8))):
            image = sitk.GetImageFromArray(array)
            image.SetSpacing(SPACING)
            image.SetOrigin((-61.25, 33.5, 120.75))
            image.SetDirection(direction.ravel().tolist())
            sitk.WriteImage(image, str(images / f"{name}_{stem}.nii.gz"))
    study = Study(name="Four directions", synthetic=True, public_ids=True)
    write_protocol(folder, Protocol(study=study, images=Images(root="images", reference=("tumour",))))


class Addresses:
    """Every address that the pages of a browser context ask for, open a socket to or show in their bar."""

    def __init__(self, context: BrowserContext) -> None:
        self.found: list[str] = []
        context.on("request", lambda request: self.found.append(request.url))
        context.on("page", self._watch)

    def _watch(self, page: Page) -> None:
        page.on("websocket", lambda socket: self.found.append(socket.url))
        page.on("framenavigated", lambda frame: self.found.append(frame.url))

    def elsewhere(self, address: str) -> list[str]:
        """Those that leave the host."""
        ours = (address, address.replace("http", "ws"), "data:", "blob:", "about:")
        return [url for url in self.found if not url.startswith(ours)]

    def naming(self, *words: str) -> list[str]:
        """Those in which one of some words stands: plainly, percent-encoded or in Base64."""
        return [url for url in self.found if any(word.lower() in legible(url) for word in words)]


def legible(url: str) -> str:
    """An address with everything that can be read out of it, in small letters."""
    plain = unquote_plus(unquote_plus(url))
    hidden = [chunk[: len(chunk) // 4 * 4] for chunk in re.findall(r"[\w-]{24,}", plain)]
    return " ".join([plain, *(urlsafe_b64decode(chunk).decode("latin-1") for chunk in hidden)]).lower()


def enter(page: Page, address: str, name: str, mode: str = "") -> None:
    """Open a review page and say who reads, and in which mode."""
    page.goto(address)
    name_again(page, name, mode)


def name_again(page: Page, name: str, mode: str = "") -> None:
    """Say who reads, on a page that asks: the first, or one that a restarted server brought back."""
    field = page.locator("[data-testid=stForm] [data-testid=stSelectbox] input").first
    field.wait_for(timeout=WAIT_MS)
    settled(page)  # until then what the page showed before the form, a viewer too, may stay
    field.fill(name)
    field.press("Enter")
    if mode:
        page.locator("[data-testid=stForm] label", has_text=mode).click()
    page.get_by_role("button", name="Begin").click()
    page.wait_for_selector("text=Reading as")


def choose_option(page: Page, label: str, option: str) -> None:
    """Choose from a box that is the only one so named; a list that a rerun of the page closed is opened again."""
    settled(page)
    box = page.locator("[data-testid=stSelectbox]").filter(has=page.get_by_text(label, exact=True))
    expect(box).to_have_count(1, timeout=WAIT_MS)
    wanted = page.get_by_role("option", name=option).first
    deadline = time.monotonic() + WAIT_MS / 1000
    while True:
        try:
            if not wanted.is_visible():
                box.locator("input").click(timeout=LIST_MS)
                box.locator("input").fill("", timeout=LIST_MS)
                page.keyboard.type(option)
            return wanted.click(timeout=LIST_MS)
        except Error:
            if time.monotonic() > deadline:
                raise


def viewer_of(page: Page, other_than: str = "") -> Locator:
    """The viewer once its first slices are drawn; other_than: the key of the images that were shown before."""
    page.locator(f".viewer[data-key]:not([data-key='{other_than}'])").wait_for(timeout=WAIT_MS)
    return page.locator(".viewer[data-key]")


def key_of(page: Page) -> str:
    """The key of the images on screen, once there are any."""
    return str(viewer_of(page).get_attribute("data-key"))


def press(viewer: Locator, name: str) -> None:
    """A button of the viewer by its name."""
    viewer.locator(f"button[data-name={name}]").click()


def take_pen(viewer: Locator, kind: str) -> None:
    """Take the pen (draw) or the eraser (erase) and wait until it draws; a page that still moves may miss the click."""
    settled(viewer.page)
    press(viewer, kind)
    viewer.page.locator(f".viewer[data-pen={kind}]").wait_for(timeout=WAIT_MS)


def draw_on_axial(page: Page, viewer: Locator, corners: tuple[tuple[float, float], ...]) -> None:
    """A closed filled stroke through points of the axial tile, given as shares of its width and height."""
    tile = viewer.evaluate(
        """host => { const nv = host.viewer.nv; const t = nv.screenSlices.find(s => s.axCorSag === 0)
        const [l, top, w, h] = t.leftTopWidthHeight; const r = nv.uiData.dpr || window.devicePixelRatio
        return [Math.min(l, l + w) / r, top / r, Math.abs(w) / r, h / r] }"""
    )
    box = viewer.locator("canvas.images").bounding_box()
    points = [(box["x"] + tile[0] + u * tile[2], box["y"] + tile[1] + v * tile[3]) for u, v in corners]
    page.mouse.move(*points[0])
    page.mouse.down()
    for point in points[1:]:
        page.mouse.move(*point, steps=6)
    page.mouse.up()


def show_voxel(viewer: Locator, voxel: tuple[int, int, int]) -> None:
    """Put the crosshair on a voxel, counted as the viewer counts: from the right, the back, the feet."""
    viewer.evaluate(
        """(host, voxel) => { const nv = host.viewer.nv, dims = nv.volumes[0].dimsRAS.slice(1, 4)
        nv.scene.crosshairPos = voxel.map((v, a) => (v + 0.5) / dims[a]); nv.drawScene() }""",
        voxel,
    )


def drag_over_axial(page: Page, viewer: Locator, voxels: tuple[tuple[int, int], ...]) -> None:
    """Drag the mouse over the middles of voxels (across, up) of the axial slice on screen."""
    places = viewer.evaluate(
        """(host, voxels) => { const nv = host.viewer.nv, dims = nv.volumes[0].dimsRAS.slice(1, 4)
        const r = nv.uiData.dpr || window.devicePixelRatio, z = nv.scene.crosshairPos[2]
        return voxels.map(([x, y]) => Array.from(
          nv.frac2canvasPosWithTile([(x + 0.5) / dims[0], (y + 0.5) / dims[1], z], 0).pos).map(v => v / r)) }""",
        voxels,
    )
    box = viewer.locator("canvas.images").bounding_box()
    points = [(box["x"] + x, box["y"] + y) for x, y in places]
    page.mouse.move(*points[0])
    page.mouse.down()
    for point in points[1:]:
        page.mouse.move(*point, steps=6)
    page.mouse.up()


def drawn_points(viewer: Locator) -> set[tuple[float, ...]]:
    """Centres of the drawn voxels in RAS millimetres, as NiiVue itself places them."""
    found = viewer.evaluate(
        """async host => {
        await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))
        const nv = host.viewer.nv, image = nv.volumes[0], [nx, ny] = image.dimsRAS.slice(1, 3)
        const out = []
        nv.drawBitmap.forEach((v, n) => { if (v) out.push(Array.from(nv.vox2mm(
          [n % nx, Math.floor(n / nx) % ny, Math.floor(n / nx / ny)], image.matRAS)).slice(0, 3)) })
        return out }"""
    )
    return {tuple(round(value, 2) + 0.0 for value in point) for point in found}


def mask_points(mask: Mask) -> set[tuple[float, ...]]:
    """Centres of a mask's voxels in RAS millimetres, as our own geometry places them."""
    index = np.argwhere(mask.voxels)[:, ::-1].astype(np.float64)
    points = index_to_points_mm(index, mask.grid) * np.array([-1.0, -1.0, 1.0])
    return {tuple(round(float(value), 2) + 0.0 for value in point) for point in points}


def save(viewer: Locator, version: int) -> None:
    """Save the drawing and wait until the server says that it is stored."""
    press(viewer, "save")
    viewer.page.locator(f".viewer[data-saved='{version}']").wait_for(timeout=WAIT_MS)


def masks_of(study: Path, reader: str) -> list[DrawnMask]:
    """What a reader drew, in the order of saving."""
    with Ledger(StudyFolder(study)) as ledger:
        return [mask for mask in drawn_masks(ledger) if mask.reader == reader]


def signed(study: Path, reader: str, number: int = 1) -> list[Verdict]:
    """A reader's verdicts, once there are so many."""
    deadline = time.monotonic() + WAIT_MS / 1000
    while True:
        with Ledger(StudyFolder(study)) as ledger:
            found = [verdict for verdict in ledger.verdicts() if verdict.reader == reader]
        if len(found) >= number or time.monotonic() > deadline:
            return found
        time.sleep(0.2)
