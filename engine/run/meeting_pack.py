"""A report of a run, put together from the store and, where a person chose figures, from his basket."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
import plotly.io as pio
from PIL import Image

from engine.present.browser import pdf_of, picture_of
from engine.present.catalogue import PATIENTS, ROWS, entry_of, method_of
from engine.present.checklists.evidence import Stored
from engine.present.checklists.items import checklists_of
from engine.present.colours import CONTOUR_COLOURS
from engine.present.default_exhibits import Source, default_exhibits
from engine.present.disclosure import AGGREGATE, IMAGES, LEVELS, masked
from engine.present.exhibit import RESEARCH_ONLY, Exhibit, KeyImage
from engine.present.figures.slices import (
    PLANES,
    WINDOWS,
    Contour,
    close_up,
    cropped,
    middle_slice,
    render_slice,
    viewed,
    viewed_mask,
)
from engine.present.numbers import number
from engine.present.pack import Action, Pack, at_level
from engine.present.slides import slides_of
from engine.present.web_report import page_of
from engine.present.worded import with_words
from engine.present.wording.methods import methods_text
from engine.present.wording.paper import Results, beside_paper
from engine.present.wording.prognosis import discrimination_answer
from engine.present.wording.provenance import provenance_line
from engine.present.wording.segmentation import agreement_answer
from engine.run.review_desk import protocol_of
from engine.run.review_layers import TUMOUR
from store.meeting import BasketItem, basket, decisions
from store.queries.agreement import CaseAgreement, agreement_summary, case_agreements, mask_pairs
from store.queries.images import AUTOMATIC, REFERENCE, load_ct, load_masks
from store.queries.inference import step_seconds
from store.queries.prognosis import comparisons, model_summaries
from store.queries.reviews import review_state
from store.queries.study import RunFacts, runs, standing
from store.reviews import latest_verdicts
from store.snapshot import Snapshot, open_snapshot

SUFFIXES = (".pptx", ".html", ".pdf")
CLOSE_UP_MM = 40.0
GAP_PIXELS = 8


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """One run in one generation, with its protocol's facts."""

    study: Path
    snapshot: Snapshot
    run: RunFacts


def shown_run(study: Path, run_id: str = "") -> Shown:
    """A run of a study, by default the newest that went to the end; ValueError for a study without (that) run."""
    snapshot = open_snapshot(study)
    found = runs(snapshot)
    wanted = [run for run in found if run_id in ("", run.run_id)]
    if not wanted:
        raise ValueError("this study has no such run" if found else "this study has no run yet; start one with `run`")
    return Shown(study, snapshot, min(wanted, key=lambda run: standing(run.state, run.until_stage)))


def build_pack(shown: Shown, level: str = AGGREGATE, person: str = "", hidden: frozenset[str] = frozenset()) -> Pack:
    """The report of a run at an export level; the figures of a person's basket, or the paper's where it is empty.

    hidden: cases of which it shows no image, because whoever asks has yet to read them blinded. ValueError for an
    unknown level.
    """
    if level not in LEVELS:
        raise ValueError(f"level must be one of {', '.join(LEVELS)}, got {level!r}")
    snapshot, run = shown.snapshot, shown.run
    provenance = provenance_line(snapshot, run)
    protocol = protocol_of(shown.study, run.run_id)
    chosen = basket_exhibits(basket(shown.study, person), runs(snapshot)) if person else ()
    exhibits = chosen or paper_exhibits(shown)
    decided = () if level == AGGREGATE else tuple(Action(*_cells(d)) for d in decisions(shown.study))
    notice = f"Synthetic data. {run.notice}".strip() if run.synthetic else run.notice
    return Pack(
        study=run.study_name,
        notice=notice,
        level=level,
        made_at=datetime.now(UTC).isoformat(timespec="minutes"),
        provenance=provenance,
        answer=_answer(shown, level),
        methods=methods_text(protocol),
        results=beside_paper(_results(shown)),
        exhibits=tuple(at_level(_marked(exhibit, page, level), page, level) for page, exhibit in exhibits),
        images=key_images(shown, hidden) if level == IMAGES else (),
        actions=decided,
        checklists=checklists_of(Stored(snapshot, run, protocol)),
    )


def paper_exhibits(shown: Shown) -> tuple[tuple[str, Exhibit], ...]:
    """Page and exhibit of the paper's figures, drawn from a run."""
    return default_exhibits(Source(shown.snapshot, shown.run, provenance_line(shown.snapshot, shown.run)))


def write_pack(pack: Pack, path: Path) -> int:
    """Write a report as .pptx, .html or .pdf; returns its bytes.

    ValueError for another ending, NoBrowserError where .pdf is asked for without a browser.
    """
    if path.suffix not in SUFFIXES:
        raise ValueError(f"a report goes to {', '.join(SUFFIXES)}, got {path.suffix or path.name!r}")
    raw = pack_bytes(pack, path.suffix)
    path.write_bytes(raw)
    return len(raw)


def pack_bytes(pack: Pack, suffix: str) -> bytes:
    """A report as the bytes of one of SUFFIXES."""
    if suffix == ".pptx":
        return slides_of(pack)
    page = page_of(pack)
    return pdf_of(page) if suffix == ".pdf" else page.encode("utf-8")


def basket_exhibits(items: Sequence[BasketItem], found: Sequence[RunFacts]) -> tuple[tuple[str, Exhibit], ...]:
    """Page and exhibit of every figure of a basket whose run still exists; filters stand in the method line."""
    by_id = {run.run_id: run for run in found}
    return tuple((item.page, basket_exhibit(item, by_id[item.run_id])) for item in items if item.run_id in by_id)


def basket_exhibit(item: BasketItem, run: RunFacts) -> Exhibit:
    """One figure of a basket, as it was when it was put in."""
    entry = entry_of(item.page, item.figure_key)
    filters = filters_text(item.filters_json)
    method = " ".join(part for part in (method_of(entry, run), f"Shown with: {filters}." if filters else "") if part)
    provenance = (
        f"{run.study_name}, run {run.place} ({run.run_id}) · {item.generation.removesuffix('.duckdb')} · put in "
        f"{item.added_at[:16].replace('T', ' ')} UTC · protocol {run.protocol_sha256[:12]} · seed {run.seed} · code "
        f"{run.code_version}"
    )
    figure = go.Figure(pio.from_json(item.figure_json))
    patients = entry.kind in (PATIENTS, ROWS)
    return Exhibit(
        item.figure_key, item.title, figure, item.caption, method, item.badge, provenance, item.note, patients
    )


def filters_text(filters_json: str) -> str:
    """The filters of a figure in words."""
    found: dict[str, object] = json.loads(filters_json or "{}")
    return "; ".join(f"{name.replace('-', ' ').replace('_', ' ')}: {_plain(value)}" for name, value in found.items())


def _plain(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _marked(exhibit: Exhibit, page: str, level: str) -> Exhibit:
    """At levels that show patients, whether this figure does."""
    if level == AGGREGATE:
        return exhibit
    patients = entry_of(page, exhibit.key).kind in (PATIENTS, ROWS)
    return Exhibit(
        *(exhibit.key, exhibit.title, exhibit.figure, exhibit.caption, exhibit.method, exhibit.badge),
        *(exhibit.provenance, exhibit.note, patients),
    )


def _cells(found: object) -> tuple[str, ...]:
    return tuple(str(getattr(found, name)) for name in ("case_id", "decision", "owner", "due", "by", "at"))


def _answer(shown: Shown, level: str) -> str:
    """The two sentences of the first slide."""
    snapshot, run = shown.snapshot, shown.run
    said = []
    pair = next((p for p in mask_pairs(snapshot, run.run_id) if p.comparison == "agreement"), None)
    if pair is not None:
        said.append(agreement_answer(agreement_summary(snapshot, run.run_id, pair), pair))
    summaries = model_summaries(snapshot, run.run_id)
    if summaries:
        said.append(discrimination_answer(comparisons(snapshot, run.run_id), summaries))
    text = " ".join(said) or "No result of this run is published yet."
    return masked(text) if level == AGGREGATE else text


def _results(shown: Shown) -> Results:
    snapshot, run = shown.snapshot, shown.run
    pair = next((p for p in mask_pairs(snapshot, run.run_id) if p.comparison == "agreement"), None)
    return Results(
        run,
        agreement_summary(snapshot, run.run_id, pair) if pair is not None else None,
        step_seconds(snapshot, run.run_id),
        latest_verdicts(review_state(shown.study).verdicts),
        model_summaries(snapshot, run.run_id),
        comparisons(snapshot, run.run_id),
    )


def key_images(shown: Shown, hidden: frozenset[str] = frozenset()) -> tuple[KeyImage, ...]:
    """The key cases with both outlines, without those hidden."""
    return tuple(key_image(shown, row.case_id, row.dsc) for row in key_cases(shown, hidden))


def key_cases(shown: Shown, hidden: frozenset[str] = frozenset()) -> tuple[CaseAgreement, ...]:
    """The cases of the least, the middle and the greatest agreement, without those hidden."""
    snapshot, run = shown.snapshot, shown.run
    pair = next((p for p in mask_pairs(snapshot, run.run_id) if p.comparison == "agreement"), None)
    if pair is None:
        return ()
    rows = sorted(case_agreements(snapshot, run.run_id, pair, run.lobe), key=lambda row: row.dsc)
    places = sorted({0, len(rows) // 2, len(rows) - 1}) if rows else []
    return tuple(rows[place] for place in places if rows[place].case_id not in hidden)


def key_image(shown: Shown, case_id: str, dsc: float | None) -> KeyImage:
    """Three planes of a case through its tumour, with the reference's and the automatic outline."""
    run_id = shown.run.run_id
    series = viewed(load_ct(shown.study, run_id, case_id))
    masks = {}
    for name, kind in (("reference", REFERENCE), ("automatic", AUTOMATIC)):
        found = [m for m in load_masks(shown.study, run_id, case_id, kind).masks if m.structure == TUMOUR]
        masks[name] = [viewed_mask(mask, series) for mask in found[:1]]
    tumour = next((m[0] for m in masks.values() if m and m[0].any()), None)
    if tumour is not None:
        box = close_up(series, tumour, CLOSE_UP_MM)
        series, tumour = cropped(series, box), tumour[box]
        masks = {name: [mask[box] for mask in found] for name, found in masks.items()}
    outlines = [Contour(mask, CONTOUR_COLOURS[name]) for name, found in masks.items() for mask in found]
    pictures = [
        render_slice(series, plane, middle_slice(tumour, series, plane), WINDOWS["Lung"], outlines) for plane in PLANES
    ]
    agreed = "" if dsc is None else f", DSC {number(dsc)}"
    caption = (
        f"Case {case_id}{agreed}: axial, coronal, sagittal, lung window. Yellow: reference; green: automatic. "
        f"{RESEARCH_ONLY}"
    )
    return KeyImage(case_id, _png(pictures), caption)


def _png(pictures: Sequence[np.ndarray]) -> bytes:
    """Pictures side by side on black."""
    height = max(picture.shape[0] for picture in pictures)
    width = sum(picture.shape[1] + GAP_PIXELS for picture in pictures) - GAP_PIXELS
    joined = np.zeros((height, width, 3), np.uint8)
    left = 0
    for picture in pictures:
        top = (height - picture.shape[0]) // 2
        joined[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
        left += picture.shape[1] + GAP_PIXELS
    file = io.BytesIO()
    Image.fromarray(joined).save(file, "PNG")
    return file.getvalue()


def picture_bytes(exhibit: Exhibit, suffix: str) -> bytes:
    """One figure as .png or .svg with title, caption and provenance; NoBrowserError; ValueError without a figure."""
    if exhibit.figure is None:
        raise ValueError("this figure is not part of an export at this level")
    return picture_of(with_words(exhibit), suffix.removeprefix("."))
