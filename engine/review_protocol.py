"""Choices of review: which mask stands downstream, and how readers judge automatic outlines."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from engine.section import Section, Share


class Masks(Section):
    """Which mask stands for a structure downstream."""

    feature_mask_order: tuple[Literal["adjudicated", "reviewed", "reference", "automatic"], ...] = Field(
        ("adjudicated", "reviewed", "reference", "automatic"),
        description="the first that exists stands for a structure downstream",
    )
    disagreement: Literal["latest correction", "wait"] = Field(
        "latest correction",
        description="which mask is `reviewed` where readers differ and nobody has adjudicated: the correction signed "
        "last, or none until someone does",
    )


class Review(Section):
    """How readers judge automatic outlines, and what the words mean."""

    minor_dsc: Share = Field(
        0.9, description="a correction is minor when the corrected mask has at least this DSC to the automatic one ..."
    )
    minor_volume_percent: float = Field(10.0, gt=0, le=100, description="... and its volume changes by less, %")
    idle_seconds: float = Field(60.0, ge=5, le=600, description="s; a longer pause is not counted as reading time")
    repeat_share: Share = Field(0.10, description="of a reader study's cases that come a second time, unannounced")
    blank_canvas_cases: int = Field(
        30, ge=1, le=500, description="random cases that are contoured without seeing the automatic mask"
    )
    kappa_weights: Literal["linear", "quadratic"] = Field(
        "quadratic", description="weights of kappa over none, minor, major, missed"
    )
