"""The choices of reproducibility: perturbations, when a feature survives, batches; three sections of study.toml."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from engine.section import Section, Share

Percent = Annotated[float, Field(gt=-90, le=100)]


class Perturb(Section):
    """Which perturbations are drawn, how strong, on how many cases."""

    preset: Literal["quick", "full", "none"] = Field(
        "quick",
        description="quick: 2 each of rotation, translation, noise, contour + 2 volumes; full: 12 each of those + 5 "
        "volumes + 7 combined; ring widths, resampling and outlines by others beside either",
    )
    cases: int = Field(10, ge=0, description="random subset of cases to perturb; 0: all")
    rois: tuple[Literal["intratumoural", "peritumoural", "whole_lung"], ...] = Field(
        ("intratumoural", "peritumoural"), description="ROIs to perturb"
    )
    rotation_degrees: float = Field(
        5.0, gt=0, le=45, description="largest turn of image and mask about z, degrees; at least half of it is drawn"
    )
    translation_voxels: float = Field(
        0.75, gt=0, le=2, description="largest sub-voxel shift of image and mask, feature-grid voxels"
    )
    volume_quick_percent: tuple[Percent, ...] = Field((10.0, -10.0), description="volume changes of quick, %")
    volume_full_percent: tuple[Percent, ...] = Field(
        (10.0, -10.0, -15.0, -20.0, 20.0), description="volume changes of full, % (Mottola 2021)"
    )
    volume_percent: float = Field(10.0, gt=0, le=50, description="largest volume change within a combined one, %")
    supervoxel_mm3: float = Field(500.0, gt=0, le=50_000, description="size of supervoxels (Zwanenburg 2019), mm3")
    supervoxel_share: Share = Field(0.02, description="but at most this share of the structure's volume")
    supervoxel_voxels: int = Field(8, ge=4, description="and at least so many voxels of the feature grid (2 x 2 x 2)")
    supervoxel_compactness: float = Field(
        0.05, gt=0, le=10, description="weight of space against HU (scaled to 0..1) in supervoxels"
    )
    contour_sure_share: Share = Field(0.90, description="a supervoxel covered by the mask so far is always kept")
    contour_unlikely_share: Share = Field(0.20, description="one covered less is always dropped, others by chance")
    ring_changes_mm: tuple[Annotated[float, Field(gt=-30, le=30)], ...] = Field(
        (-2.0, -1.0, 1.0, 2.0), description="widths of the ring beside the protocol's, mm more or less"
    )
    slices_mm: tuple[Annotated[float, Field(gt=0, le=20)], ...] = Field(
        (2.0, 3.0, 5.0), description="slice thicknesses that images are averaged to, mm; thinner than the CT's: skipped"
    )
    voxels_mm: tuple[Annotated[float, Field(ge=0.5, le=5)], ...] = Field(
        (1.0, 2.0, 3.0), description="other isotropic feature grids, mm; the protocol's own is skipped"
    )
    unchanged_dsc: Share = Field(
        0.99, description="a mask with a higher DSC to the base mask, on an unchanged image, is not tested"
    )
    plausible_dsc: Share = Field(0.70, description="a mask with a lower DSC is marked implausible")

    @model_validator(mode="after")
    def _shares_are_ordered(self) -> Perturb:
        """Refuse shares that would keep and drop the same supervoxel."""
        if self.contour_unlikely_share > self.contour_sure_share:
            raise ValueError(
                f"perturb.contour_unlikely_share must not exceed contour_sure_share ({self.contour_sure_share}), got"
                f" {self.contour_unlikely_share}"
            )
        return self


class Reproducibility(Section):
    """When a feature is called reproducible."""

    threshold: Share = Field(0.75, description="lower 95 % bound of the ICC that a feature must reach to survive")
    families: tuple[Literal["random", "fixed", "resampling", "readers"], ...] = Field(
        ("random", "fixed"),
        description="families of perturbations in which it must do so, where they were tested; others are shown only",
    )
    poor: Share = Field(0.5, description="class bounds on the lower 95 % bound (Koo and Li)")
    good: Share = Field(0.75, description="from here good")
    excellent: Share = Field(0.9, description="from here excellent")
    disagreement: Share = Field(0.2, description="flag when rank or trimmed ICC differ by more")
    trimmed_share: Share = Field(0.05, description="most extreme patients left out of the trimmed ICC")


class Batch(Section):
    """Scanners and settings as batches: shown always, harmonised where the study asks for it."""

    variable: Literal["kernel", "contrast", "manufacturer", "slice thickness"] = Field(
        "kernel", description="what ComBat brings together"
    )
    combat: bool = Field(
        False, description="harmonise inside each bootstrap, fitted on its training patients; never knows the outcome"
    )
    protect: tuple[str, ...] = Field(
        (), description="clinical predictors ([covariates]) whose part of the features ComBat leaves alone"
    )
    smallest: int = Field(5, ge=2, le=100, description="fewer patients in a batch: ComBat is declined")
    thin_mm: float = Field(1.5, gt=0, le=10, description="slices up to this thickness are thin, mm")
    thick_mm: float = Field(3.0, gt=0, le=20, description="slices beyond this thickness are thick, mm")
    confounded_v: Share = Field(0.3, description="Cramer's V of batch and outcome above which a warning is shown")

    @model_validator(mode="after")
    def _thickness_is_ordered(self) -> Batch:
        """Refuse limits of thickness without order."""
        if self.thin_mm > self.thick_mm:
            raise ValueError(f"batch.thin_mm must not exceed thick_mm ({self.thick_mm:g}), got {self.thin_mm:g}")
        return self
