"""All that a report holds, whatever it is written as: figures, sentences, images, tables."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from engine.present.catalogue import entry_of
from engine.present.disclosure import AGGREGATE, caption_beside, disclosed, masked, printed
from engine.present.exhibit import NOT_SHOWN, Exhibit, KeyImage

SENTENCE_LEVEL = {
    AGGREGATE: "Aggregates only: no patient's row, no case id, no count of patients under five.",
    "pseudonymised": "Pseudonymised: single patients are shown. Not for publication as it is.",
    "images": "Pseudonymised, with images of patients. Not for publication as it is.",
}


@dataclass(frozen=True, slots=True)
class BesidePaper:
    """One result in the order of the paper: ours, the paper's, and whether the two may be compared."""

    what: str
    ours: str
    paper: str
    comparable: str


@dataclass(frozen=True, slots=True)
class Item:
    """One item of a checklist: number, topic, state, what was found, page where it can be seen."""

    number: str
    topic: str
    state: str
    evidence: str
    page: str


@dataclass(frozen=True, slots=True)
class Checklist:
    """A checklist with its source."""

    name: str
    source: str
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class Action:
    """What the team decided about a case."""

    case_id: str
    decision: str
    owner: str
    due: str
    by: str
    at: str


@dataclass(frozen=True, slots=True, eq=False)
class Pack:
    """One report."""

    study: str
    notice: str
    level: str
    made_at: str
    provenance: str
    answer: str
    methods: str
    results: tuple[BesidePaper, ...]
    exhibits: tuple[Exhibit, ...]
    images: tuple[KeyImage, ...] = ()
    actions: tuple[Action, ...] = ()
    checklists: tuple[Checklist, ...] = ()

    @property
    def level_sentence(self) -> str:
        """What the level lets through."""
        return SENTENCE_LEVEL[self.level]


def at_level(exhibit: Exhibit, page: str, level: str) -> Exhibit:
    """An exhibit as an export level lets it through."""
    if level != AGGREGATE or exhibit.figure is None:
        return dataclasses.replace(exhibit, caption=printed(exhibit.caption))
    kind = entry_of(page, exhibit.key).kind
    found = disclosed(exhibit.figure, kind)
    caption = caption_beside(kind, exhibit.caption) if found is not None else NOT_SHOWN
    note = masked(exhibit.note) if found is not None else ""
    return dataclasses.replace(exhibit, figure=found, caption=caption, note=note, shows_patients=False)
