"""A figure that carries its own words: title, caption, badge and provenance are part of the picture."""

from __future__ import annotations

import textwrap

import plotly.graph_objects as go

from engine.present.exhibit import RESEARCH_ONLY, Exhibit
from engine.present.figures.layout import inked

LETTERS_A_LINE = 150
LINE_PIXELS = 17
SMALL_TEXT = 12
AXIS_PIXELS = 60


def with_words(exhibit: Exhibit) -> go.Figure:
    """A copy of an exhibit's figure with its words above and below; ValueError without a figure."""
    if exhibit.figure is None:
        raise ValueError("an exhibit without a figure cannot be drawn")
    said = [f"Exploratory. {exhibit.badge}"] if exhibit.badge else []
    said += [exhibit.caption, exhibit.method, exhibit.provenance, RESEARCH_ONLY]
    lines = [line for part in said for line in textwrap.wrap(part.replace("**", ""), LETTERS_A_LINE)]
    made = inked(go.Figure(exhibit.figure), dark=False)
    foot = LINE_PIXELS * len(lines) + AXIS_PIXELS
    top = max(70, (exhibit.figure.layout.margin.t or 40) + 40)
    made.update_layout(
        title={"text": exhibit.title, "x": 0.01, "xanchor": "left", "font": {"size": 20}},
        margin={"l": 20, "r": 20, "t": top, "b": foot},
    )
    below = {"xref": "paper", "yref": "paper", "x": 0, "y": 0, "yshift": -AXIS_PIXELS, "yanchor": "top"}
    words = {"text": "<br>".join(lines), "align": "left", "showarrow": False, "font": {"size": SMALL_TEXT}}
    made.add_annotation(**below, **words, xanchor="left")
    return made
