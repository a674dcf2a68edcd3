"""Choices of selection, of its page on stability and of the self-test; sections of the protocol."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from engine.section import Section, Share

Gain = Annotated[float, Field(gt=0, le=0.4)]


class SelectionProtocol(Section):
    """Bootstraps, mRMR and recursive elimination."""

    resamples: int = Field(500, ge=2, le=5000, description="bootstraps, stratified by outcome")
    trees: int = Field(500, ge=10, le=5000, description="trees of each forest")
    mrmr_features: int = Field(50, ge=2, le=500, description="K of mRMR")
    schemes: tuple[Literal["FCQ", "MID", "MIQ"], ...] = Field(
        ("FCQ",),
        min_length=1,
        description="of mRMR: FCQ F over mean |r|; MID, MIQ Gaussian information, difference and quotient. Of several "
        "each bootstrap takes the one that is best in cross-validation over its own patients",
    )
    inner_folds: int = Field(5, ge=2, le=10, description="folds of that cross-validation, by patient")
    signature: tuple[str, ...] = Field(
        (),
        description="features (region_image_class_feature) that alone may enter, from other patients; empty: all. A "
        "list read off a study's frequencies is refused on its patients",
    )
    most_kept: int = Field(
        10, ge=1, le=50, description="RFE keeps max(1, min(this, events // 10 - clinical parameters))"
    )
    ridge: float = Field(
        1.0, gt=0, le=1000, description="penalty on squared slopes of standardised columns, the same in every arm"
    )
    expected_nagelkerke: float = Field(
        0.15, gt=0, lt=1, description="R squared that the sample size calculation expects of a model (Riley 2020)"
    )
    fewest_events: int = Field(10, ge=5, description="under this many events or non-events the analysis is declined")
    region_elimination: bool = Field(
        False,
        description="each region alone: also eliminate by forests, as the radiomic arm does (a selection more a region "
        "and bootstrap); false: its first features of mRMR",
    )
    icc_filter: bool = Field(True, description="inside each bootstrap, keep reproducible features only")
    degenerate_share: Share = Field(0.10, description="drop a feature degenerate in more of the training cases")
    missing: Literal["drop", "median"] = Field(
        "drop",
        description="drop: a feature missing in any training patient is left out; median: it takes the median of the "
        "training patients when few lack it",
    )
    missing_share: Share = Field(0.05, description="missing = median: a feature missing in more of them is left out")


class StabilityProtocol(Section):
    """How the page on stability groups features."""

    cluster_features: int = Field(50, ge=2, le=200, description="most often kept features that are grouped")
    cluster_correlation: Share = Field(
        0.7, description="|Spearman rho| over patients, average linkage, from which features stand for each other"
    )


class Detection(Section):
    """Gains planted in the study's own cohort, to see which of them the comparison would have called by their name."""

    gains: tuple[Gain, ...] = Field(
        (0.05, 0.10, 0.15, 0.20), min_length=1, description="AUC above clinical + volume; none (0) is planted too"
    )
    repeats: int = Field(20, ge=2, le=500, description="times each is planted")
    resamples: int = Field(40, ge=10, le=500, description="bootstraps of each")


class SelfTest(Section):
    """The whole pipeline on permuted outcomes."""

    repeats: int = Field(20, ge=2, le=500, description="permutations of the outcomes among the patients")
    resamples: int = Field(20, ge=2, le=500, description="bootstraps of each")
