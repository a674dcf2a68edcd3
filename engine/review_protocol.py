"""Choices about masks: which stands downstream, how two are compared, how readers judge automatic outlines."""

from __future__ import annotations

from typing import Annotated, Literal

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


class Agreement(Section):
    """How masks are compared and what may be called equivalent."""

    tolerance_mm: float = Field(2.0, gt=0, le=10, description="surface DSC tolerance, mm (Nikolov definition)")
    curve_mm: tuple[Annotated[float, Field(gt=0, le=10)], ...] = Field(
        (0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0), description="tolerances of the surface DSC curve, mm"
    )
    low_lesion_dsc: float = Field(
        0.1, gt=0, lt=1, description="lesion DSC; a lesion touched with less is also shown as missed"
    )
    contact_mm: float = Field(3.0, gt=0, le=10, description="chest-wall contact: distance to the pleura, mm")
    equivalence_margin: float = Field(
        0.05, gt=0, le=0.5, description="DSC; no batch effect = 90 % CI within this margin"
    )
    aliased_from: Share = Field(
        0.8, description="Cramer's V; acquisition variables that go together at least so much are one effect"
    )
    lobe: str = Field("lobe", description="declared covariate that names the tumour's lobe, where there is one")
    misses_per_parameter: int = Field(5, ge=2, le=50, description="of the model of missed tumours")
    patients_per_parameter: int = Field(10, ge=5, le=100, description="of the model of DSC among detected tumours")
