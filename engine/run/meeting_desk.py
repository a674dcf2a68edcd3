"""What the meeting pages may do: each action asks for its role; what leaves the house or is decided is audited."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from engine.present.disclosure import AGGREGATE, IMAGES
from engine.review.judged import names_a_mask
from engine.run.meeting_pack import build_pack, pack_bytes, paper_exhibits, shown_run
from engine.run.review_desk import sign_verdict
from store.access import Person, authorise, record_action
from store.export import safe_cell
from store.meeting import (
    BasketItem,
    Decision,
    add_to_basket,
    decide,
    decisions,
    drop_item,
    edit_item,
    reorder,
)
from store.records import Verdict
from store.reviews import ADJUDICATION, ADJUDICATOR, UnsignedError

ACTION_COLUMNS = ("case_id", "decision", "owner", "due", "by", "at")


def keep_figure(study: Path, person: Person, item: BasketItem) -> int:
    """Put a figure into a basket; errors as `add_to_basket`."""
    authorise(study, person, "keep figure")
    return add_to_basket(study, item)


def fill_basket(study: Path, person: Person, owner: str, run_id: str) -> int:
    """Put the figures of the paper into an empty meeting; returns how many there were."""
    authorise(study, person, "keep figure")
    shown = shown_run(study, run_id)
    found = paper_exhibits(shown)
    for page, exhibit in found:
        if exhibit.figure is not None:
            words = (exhibit.title, "", exhibit.caption, exhibit.badge, "{}", exhibit.figure.to_json())
            place = (0, owner, 0, page, exhibit.key)
            add_to_basket(study, BasketItem(*place, *words, run_id, shown.snapshot.generation, ""))
    return len(found)


def change_figure(study: Path, person: Person, owner: str, item_id: int, title: str, note: str) -> None:
    """Give a figure another title or note; errors as `edit_item`."""
    authorise(study, person, "keep figure")
    edit_item(study, owner, item_id, title, note)


def order_figures(study: Path, person: Person, owner: str, item_ids: Sequence[int]) -> None:
    """Put the figures of a meeting into an order; errors as `reorder`."""
    authorise(study, person, "keep figure")
    reorder(study, owner, item_ids)


def remove_figure(study: Path, person: Person, owner: str, item_id: int) -> None:
    """Take a figure out of a meeting."""
    authorise(study, person, "keep figure")
    drop_item(study, owner, item_id)


def note_decision(study: Path, person: Person, decision: Decision) -> None:
    """Note what the team decided about a case; errors as `decide`."""
    authorise(study, person, "note decision")
    decide(study, decision)


def sign_consensus(study: Path, person: Person, verdict: Verdict) -> Verdict:
    """Sign what the team agreed on as an adjudication; errors as `sign_verdict`, and where it names no mask."""
    authorise(study, person, "judge")
    if not names_a_mask(verdict.judgement, verdict.drawn_key):
        raise UnsignedError("an adjudication names the mask that is measured, and this one names none")
    return sign_verdict(study, replace(verdict, role=ADJUDICATOR, mode=ADJUDICATION))


def action_list(study: Path, person: Person) -> str:
    """The decisions as CSV; cells that a spreadsheet would run as a formula get a leading apostrophe."""
    authorise(study, person, "note decision")
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(ACTION_COLUMNS)
    for decision in decisions(study):
        cells = (str(getattr(decision, name)) for name in ACTION_COLUMNS)
        writer.writerow([safe_cell(cell) for cell in cells])
    return file.getvalue()


def make_report(
    study: Path,
    person: Person,
    owner: str,
    level: str,
    suffix: str,
    run_id: str = "",
    hidden: frozenset[str] = frozenset(),
) -> bytes:
    """A report as a file's bytes; single patients ask for more than aggregates; hidden and errors as `build_pack`.

    Whose images it shows is in the audit before it is handed out.
    """
    authorise(study, person, "export report" if level == AGGREGATE else "export pseudonymised")
    if level == IMAGES:
        authorise(study, person, "view images")
    pack = build_pack(shown_run(study, run_id), level, owner, hidden)
    raw = pack_bytes(pack, suffix)
    for image in pack.images:
        record_action(study, person, "view images", image.case_id)
    record_action(study, person, "export report", f"{level} {suffix}")
    return raw
