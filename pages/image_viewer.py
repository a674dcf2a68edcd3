"""The NiiVue viewer in a page: what it may fetch, what it shows first, and what it said."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from engine.present.colours import CONTOUR_COLOURS
from engine.present.wording.review import prior_title
from engine.review.grants import ALIVE, FETCH, SEND, Grant, session_digest
from engine.run.review_layers import Layer, shown_first
from engine.run.review_volumes import tokens
from engine.run.scan_parts import PREVIEW, Extent, covers, extent_of, offered_extents, opening_mm
from pages.gate import session_ends_at
from pages.reader import Reader
from pages.sessions import session_of
from pages.volume_routes import VIEWER, images_key
from store.queries.images import ct_key, load_ct, load_prior_scan
from store.reviews import Reading

ASSETS = Path(__file__).parent / "viewer"
UNSAVED = "unsaved"
# The program is fetched once from our own server; a page that cannot run it falls back to slices.
LOADER = """
let program
export default function (component) {
  program ??= import(new URL('viewer/viewer.js', document.baseURI).href)
  let stop
  program.then(
    (viewer) => { stop = viewer.default(component) },
    () => component.setStateValue('webgl2', false)
  )
  return () => stop?.()
}
"""


@dataclass(frozen=True, slots=True)
class Viewed:
    """What the viewer shows: a run's case, whose reading it is, which layers, and whether it may be drawn on.

    judged: the key of the automatic mask, empty where there is none.
    """

    study: Path
    run_id: str
    reader: Reader
    reading: Reading
    layers: tuple[Layer, ...]
    drawn_key: str
    others: tuple[str, ...]
    can_draw: bool
    judged: str


def usable() -> bool:
    """Whether the viewer was built and this browser has not said that it cannot run it."""
    return VIEWER.exists() and st.session_state.get("webgl2", True)


@st.cache_data(max_entries=64, show_spinner="Reading the images")
def part_of(study: Path, run_id: str, case_id: str, extent: str, layers: str, _viewed: Viewed) -> Extent:
    """A part of the scan by its name; it follows from the layers."""
    del layers
    return extent_of(extent, load_ct(study, run_id, case_id), _viewed.layers)


@st.cache_data(max_entries=64, show_spinner="Reading the images")
def opening_of(study: Path, run_id: str, case_id: str, layers: str, _viewed: Viewed) -> tuple[float, float, float]:
    """Where the viewer opens, RAS millimetres; it follows from the layers."""
    del layers
    return opening_mm(load_ct(study, run_id, case_id).grid, _viewed.layers)


def viewer(viewed: Viewed) -> None:
    """Mount the viewer; the page runs again when a mask was stored, more is wanted, or a token must be renewed."""
    key = f"viewer-{viewed.reading.mode}"
    offered = offered_extents(viewed.reading.mode)
    remembered = f"extent-{volume_key(viewed, '')}"  # of this reading alone: a hidden repeat must open as any other
    chosen = st.session_state.get(remembered, offered[0])
    extent_name = chosen if chosen in offered else offered[0]
    where = (viewed.study, viewed.run_id, viewed.reading.case_id)
    extent = kept_part(viewed, extent_name)
    first = shown_first(viewed.layers)
    st.components.v2.component(
        "cohortscope_viewer",
        html='<div class="viewer"></div>',
        css=(ASSETS / "viewer.css").read_text(encoding="utf-8"),
        js=LOADER,
    )(
        key=key,
        data={
            **told_of(viewed, extent_name, extent),
            "reading": volume_key(viewed, ""),
            "owner": drawing_key(viewed, ""),
            "drawnFrom": viewed.drawn_key,
            "automatic": automatic_key(viewed),
            "at": time.time(),
            "unsaved": _told_unsaved(),
            "layersKey": layers_key(viewed),
            "layers": [shown_layer(layer, first) for layer in viewed.layers],
            "extents": offered,
            "canDraw": viewed.can_draw,
            "hasError": {"reference", "automatic"} <= {layer.name for layer in viewed.layers if drawn(layer)},
            "target": opening_of(*where, layers_key(viewed), viewed),
            "beside": beside_of(viewed, extent_name, extent),
            "prior": prior_of(viewed),
        },
        on_saved_change=lambda: None,
        on_renew_change=lambda: None,
        on_extent_change=lambda: _remember(key, "extent", remembered),
        on_unsaved_change=lambda: _remember(key, UNSAVED, UNSAVED),
        on_webgl2_change=lambda: _remember(key, "webgl2", "webgl2"),
    )


def beside_of(viewed: Viewed, shown: str, extent: Extent) -> dict[str, object] | None:
    """The part that the reader goes to and fro with by one key, fetched while he looks at the one on screen.

    It is the chest, and beside the chest the close-up. None where the part on screen holds all of the chest, and where
    there is no close-up: the whole series is fetched on demand.
    """
    other = PREVIEW if shown != PREVIEW else offered_extents(viewed.reading.mode)[0]
    if other == shown:
        return None
    part = kept_part(viewed, other)
    if covers(extent, part):
        return None
    return told_of(viewed, other, part)


def told_of(viewed: Viewed, name: str, extent: Extent) -> dict[str, object]:
    """What the viewer must know of a part of the scan to show it."""
    part = repr((name, extent.box, extent.stride))
    grant = grant_of(viewed, extent)
    return {
        "key": volume_key(viewed, part),
        "drawingKey": drawing_key(viewed, part),
        "images": images_key(grant),
        "tokens": tokens(viewed.study, grant, FETCH, SEND, ALIVE),
        "extent": name,
        "editable": extent.editable,
        "stride": extent.stride[::-1],
    }


def prior_of(viewed: Viewed) -> dict[str, object] | None:
    """The earlier CT beside the images: what it is, and how far in RAS mm it lies from them, None where not linked."""
    scan = load_prior_scan(viewed.study, viewed.run_id, viewed.reading.case_id)
    if scan is None:
        return None
    x, y, z = scan.shift_x_mm, scan.shift_y_mm, scan.shift_z_mm
    linked = None if x is None or y is None or z is None else (-x, -y, z)
    return {"title": prior_title(scan, viewed.reading.mode), "shift": linked, "link": volume_key(viewed, "")}


def kept_part(viewed: Viewed, name: str) -> Extent:
    """A part of the scan as it was first shown in this browser's session, while the lesion's middle lies in it.

    A mask that is saved may move the close-up, and so may another run's; the images on screen stay, and what is drawn
    next is drawn on them.
    """
    where = (viewed.study, viewed.run_id, viewed.reading.case_id)
    fresh = part_of(*where, name, layers_key(viewed), viewed)
    remembered = f"part-{name}-{drawing_key(viewed, '')}"
    kept: Extent = st.session_state.get(remembered, fresh)
    middle = [(low + high) // 2 for low, high in zip(fresh.box[::2], fresh.box[1::2], strict=True)]
    inside = all(kept.box[2 * n] <= at < kept.box[2 * n + 1] for n, at in enumerate(middle))
    part = kept if inside and kept.stride == fresh.stride else fresh
    st.session_state[remembered] = part
    return part


def unsaved(viewed: Viewed) -> bool:
    """Whether this reader drew on this reading and did not save; the viewer says so before any button is pressed."""
    return drawing_key(viewed, "") in _told_unsaved().split()


def _told_unsaved() -> str:
    said = st.session_state.get(UNSAVED)
    return str(said["of"]) if said else ""


def _remember(key: str, said: str, name: str) -> None:
    """Keep a state that the viewer set under a name of the page."""
    value = st.session_state[key].get(said)
    if value is not None:
        st.session_state[name] = value


def grant_of(viewed: Viewed, extent: Extent) -> Grant:
    """What the viewer may do for this reading in this browser session."""
    reading = viewed.reading
    return Grant(
        method=FETCH,
        run_id=viewed.run_id,
        case_id=reading.case_id,
        reader=reading.reader,
        mode=reading.mode,
        reading=reading.reading,
        layers=tuple(layer.name for layer in viewed.layers),
        drawn_key=viewed.drawn_key,
        others=viewed.others,
        box=extent.box,
        stride=extent.stride,
        session=session_digest(session_of(st.context.cookies)),
        identity=viewed.reader.identity,
        expires_at=0.0,
        ends_at=session_ends_at(),
    )


def file_grant(viewed: Viewed) -> Grant:
    """The same right for files of the whole scan; used on the server only, never signed."""
    return grant_of(viewed, Extent((0, 0, 0, 0, 0, 0), (1, 1, 1)))


def volume_key(viewed: Viewed, part: str) -> str:
    """Changes exactly when the images on screen do; holds no case, so that hidden repeats stay hidden."""
    reading = viewed.reading
    return session_digest(repr((viewed.run_id, reading.case_id, reading.mode, reading.reading, part)))


def drawing_key(viewed: Viewed, part: str) -> str:
    """What a drawing that was not stored belongs to: this reader's, on these images, whichever run shows them."""
    images = ct_key(viewed.study, viewed.run_id, viewed.reading.case_id)
    return session_digest(repr((images, viewed.reading, part)))


def automatic_key(viewed: Viewed) -> str:
    """Changes exactly when the automatic mask does; another for each reading, and empty where that does not see it."""
    seen = any(layer.name == "automatic" for layer in viewed.layers)
    return session_digest(repr((viewed.judged, viewed.reading))) if seen else ""


def layers_key(viewed: Viewed) -> str:
    """Changes exactly when the outlines do."""
    names = [layer.name for layer in viewed.layers]
    return session_digest(repr((viewed.drawn_key, viewed.others, names)))


def shown_layer(layer: Layer, first: tuple[str, ...]) -> dict[str, object]:
    """A layer as the viewer lists it; `first`: the names that are on when a case opens."""
    return {
        "name": layer.name,
        "title": layer.title,
        "colour": CONTOUR_COLOURS[layer.name],
        "shown": layer.name in first,
        "empty": not drawn(layer),
        "volume": volume_text(layer),
    }


def volume_text(layer: Layer) -> str:
    """The volume of a tumour's index lesion; nothing for lungs, ring and doubt."""
    index = next((mask for mask in layer.masks if mask.structure == "tumour" and mask.lesion == 0), None)
    return "" if index is None else f"{index.volume_ml:.1f} ml"


def drawn(layer: Layer) -> bool:
    """Whether there is anything of a layer to see."""
    return any(mask.voxels.any() for mask in layer.masks)
