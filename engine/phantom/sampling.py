"""Drawing a whole phantom case from one seed, for training and tests."""

from __future__ import annotations

import numpy as np

from engine.phantom.case import KERNELS, KINDS, SIDES, THIRDS, Phantom, PhantomCase, TumourPlan
from engine.phantom.habitus import SOFT_TISSUE_ENHANCEMENT_HU
from engine.phantom.thorax import make_phantom

PLAN_STREAM = 0
KIND_SHARES = (0.45, 0.35, 0.20)
THIRD_SHARES = (0.48, 0.22, 0.30)
DIAMETER_MEDIAN_MM, DIAMETER_LOG_SD = 26.0, 0.52
LARGEST_BY_KIND_MM = {"free": 42.0, "costal": 60.0, "hilar": 56.0}
HETEROGENEITY_LOG_MEAN, HETEROGENEITY_LOG_SD = float(np.log(24)), 0.65
NOISE_SD_HU = {"sharp": (24.0, 42.0), "soft": (8.0, 17.0)}


def make_phantom_from_seed(seed: int, tumour: bool) -> Phantom:
    """A phantom whose every parameter follows from the seed, with or without a tumour."""
    return make_phantom(draw_case(seed, tumour))


def draw_case(seed: int, tumour: bool) -> PhantomCase:
    """A case with kernel, noise, contrast and (if wanted) a tumour drawn from the seed."""
    rng = np.random.default_rng([seed, PLAN_STREAM])
    kernel = str(rng.choice(KERNELS))
    noise, contrast = float(rng.uniform(*NOISE_SD_HU[kernel])), bool(rng.random() < 0.55)
    plan = draw_tumour(rng, contrast)
    return PhantomCase(seed, kernel, noise, contrast, plan if tumour else None)


def draw_tumour(rng: np.random.Generator, contrast: bool) -> TumourPlan:
    """A tumour plan: longest diameter 6-60 mm (log-normal, median 26), all kinds, sides and thirds."""
    kind = str(rng.choice(KINDS, p=KIND_SHARES))
    diameter = float(np.clip(rng.lognormal(np.log(DIAMETER_MEDIAN_MM), DIAMETER_LOG_SD), 6.0, LARGEST_BY_KIND_MM[kind]))
    second = float(rng.uniform(0.68, 1.0))
    third_axis = float(rng.uniform(0.55, 1.0)) * second
    return TumourPlan(
        diameter_mm=diameter,
        axis_ratios=(second, max(0.45, third_axis)),
        roughness=float(rng.choice([0.02, 0.08, 0.16, 0.24])) * float(rng.uniform(0.8, 1.2)),
        heterogeneity_hu=float(np.clip(rng.lognormal(HETEROGENEITY_LOG_MEAN, HETEROGENEITY_LOG_SD), 4, 90)),
        texture_scale_mm=float(rng.uniform(3, 8)),
        mean_hu=float(rng.normal(34, 10)) + (SOFT_TISSUE_ENHANCEMENT_HU if contrast else 0.0),
        side=str(rng.choice(SIDES, p=(0.42, 0.58))),
        third=str(rng.choice(THIRDS, p=THIRD_SHARES)) if kind != "hilar" else "middle",
        kind=kind,
        wall_invasion_mm=float(rng.choice([0.0, 0.0, 5.0, 9.0])) if kind == "costal" and diameter > 18 else 0.0,
    )
