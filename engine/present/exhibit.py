"""A figure with all that must travel with it: title, caption, method, badge, provenance."""

from __future__ import annotations

from dataclasses import dataclass

import plotly.graph_objects as go

RESEARCH_ONLY = "Research use only. Not for diagnosis or treatment of a patient."
NOT_SHOWN = "This figure shows single patients. It is not part of an aggregate export."


@dataclass(frozen=True, slots=True, eq=False)
class Exhibit:
    """One figure of a pack or a meeting; `figure` is None where the export level does not allow it."""

    key: str
    title: str
    figure: go.Figure | None
    caption: str
    method: str
    badge: str
    provenance: str
    note: str = ""
    shows_patients: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class KeyImage:
    """Slices of one case with outlines, as a PNG, and what they show."""

    case_id: str
    png: bytes
    caption: str
