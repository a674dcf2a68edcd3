"""Bench: every value of the engine against PyRadiomics 3.0.1 on real patients, and the cause of each exception.

Both see the same whole-HU image on the study's 1 mm grid, without PyRadiomics' crop: there both mean the same.
"""

from __future__ import annotations

import csv
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.bench.causes import CONSTANT_NEIGHBOURHOOD, Evidence, cause_of, family_of
from engine.bench.oracle import oracle_vector
from engine.bench.real_cases import RealCase, chosen, real_case, real_sources
from engine.measure.features import DEGENERATE, RoiFeatures, measure_rois
from engine.measure.levels import Binning
from engine.metrics.recipe import PAPER_1967, feature_names, full_name
from engine.protocol import Features

TOLERANCE, TOLERANCE_MCC, SMALLEST_VALUE = 1e-6, 1e-4, 1e-12
NOTE = (
    "PyRadiomics 3.0.1 and the engine measure the same whole-HU image on the 1 mm grid, whole, without PyRadiomics' "
    "crop. PyRadiomics' own LBP3D, 4.5 kB a voxel, is asked for pieces of the mask that are put together: a voxel's "
    "pattern does not depend on the mask. Cases marked cut: both were given the same box about all regions and 16 "
    "voxels around it, for the whole image does not fit PyRadiomics' memory; filters then end at that box for both."
)


@dataclass(frozen=True, slots=True)
class Deviation:
    """One value outside the tolerance: both values, |difference| / |PyRadiomics'|, and what was found to cause it."""

    case: str
    roi: str
    feature: str
    engine: float
    pyradiomics: float
    relative_difference: float
    cause: str


@dataclass(frozen=True, slots=True)
class RegionAgreement:
    """One region: values compared, of them within the tolerance; degenerate values are compared apart."""

    case: str
    roi: str
    voxels: int
    cut: bool
    compared: int
    within: int
    share: float
    degenerate: int
    degenerate_within: int


@dataclass(frozen=True, slots=True)
class AgreementBench:
    """Totals over all regions, exceptions counted by cause and listed.

    share: against PyRadiomics as it runs here. share_scipy_of_its_time: counted as within is also what PyRadiomics'
    own classes give once the kurtosis of equal samples is -3, as SciPy had it when PyRadiomics 3.0.1 appeared.
    """

    compared: int
    within: int
    share: float
    share_scipy_of_its_time: float
    degenerate: int
    degenerate_within: int
    regions: tuple[RegionAgreement, ...]
    causes: dict[str, int]
    exceptions: tuple[Deviation, ...]
    note: str


def bench_agreement(shared: Path, names: tuple[str, ...], keep: Path | None) -> AgreementBench:
    """The values of every region of the named cases, of all 14 where none is named.

    `keep`: a folder where PyRadiomics' vectors stay (named by what they depend on), so that a run can be stopped and
    taken up again. FileNotFoundError without the shared data, ValueError for an unknown case.
    """
    found: list[tuple[RegionAgreement, tuple[Deviation, ...]]] = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for source in chosen(real_sources(shared, folder), names):
            found += _compared(real_case(source, folder), keep or folder / "pyradiomics")
    return _summary(tuple(region for region, _ in found), tuple(d for _, deviations in found for d in deviations))


def write_deviations(found: AgreementBench, file: Path) -> None:
    """Every exception as a row of a CSV file."""
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow([field.name for field in fields(Deviation)])
        writer.writerows(asdict(one).values() for one in found.exceptions)


def agreement_lines(found: AgreementBench) -> list[str]:
    """The result as text."""
    lines = [
        f"{r.case:10s} {r.roi:14s} {r.voxels:8d} voxels{' cut' if r.cut else '    '} compared {r.compared} degenerate "
        f"{r.degenerate} within {r.within} share {100 * r.share:.3f} %"
        for r in found.regions
    ]
    lines.append(f"{found.within} of {found.compared} values within, {100 * found.share:.4f} %")
    lines.append(f"with the kurtosis of equal samples of SciPy at its time {100 * found.share_scipy_of_its_time:.4f} %")
    lines.append(f"degenerate, compared apart: {found.degenerate_within} of {found.degenerate} within")
    return lines + [f"{count:5d} {cause}" for cause, count in found.causes.items()]


def _summary(regions: tuple[RegionAgreement, ...], exceptions: tuple[Deviation, ...]) -> AgreementBench:
    compared, within = sum(r.compared for r in regions), sum(r.within for r in regions)
    causes = Counter(family_of(one.cause) for one in exceptions)
    return AgreementBench(
        compared=compared,
        within=within,
        share=within / compared,
        share_scipy_of_its_time=(within + causes[CONSTANT_NEIGHBOURHOOD]) / compared,
        degenerate=sum(r.degenerate for r in regions),
        degenerate_within=sum(r.degenerate_within for r in regions),
        regions=regions,
        causes=dict(causes.most_common()),
        exceptions=exceptions,
        note=NOTE,
    )


def _compared(case: RealCase, kept: Path) -> Iterator[tuple[RegionAgreement, tuple[Deviation, ...]]]:
    width = Features().bin_width_hu
    ours = measure_rois(case.image, [mask for _, mask in case.rois], PAPER_1967, Binning(width))
    for (roi, mask), mine in zip(case.rois, ours, strict=True):
        theirs = oracle_vector(case.image, mask, PAPER_1967, width, kept)
        off = outside(mine.values, theirs)
        evidence = Evidence(case.image, mask, mine.values, theirs, kept)
        places = np.flatnonzero(off & (mine.statuses != DEGENERATE))
        deviations = tuple(_deviation(case.name, roi, int(place), evidence) for place in places)
        yield _region(case, roi, int(np.count_nonzero(mask)), mine, off), deviations


def outside(mine: NDArray[np.float64], theirs: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which values differ by more than 1e-6 of PyRadiomics' (MCC 1e-4), or are a number on one side only."""
    allowed = np.array([TOLERANCE_MCC if n.feature == "MCC" else TOLERANCE for n in feature_names(PAPER_1967)])
    apart = np.abs(mine - theirs) > allowed * np.maximum(np.abs(theirs), SMALLEST_VALUE)
    return np.asarray(apart | (np.isfinite(mine) != np.isfinite(theirs)))


def _region(case: RealCase, roi: str, voxels: int, mine: RoiFeatures, off: NDArray[np.bool_]) -> RegionAgreement:
    degenerate = mine.statuses == DEGENERATE
    compared, bad = int(np.count_nonzero(~degenerate)), int(np.count_nonzero(off & ~degenerate))
    return RegionAgreement(
        case=case.name,
        roi=roi,
        voxels=voxels,
        cut=case.cut,
        compared=compared,
        within=compared - bad,
        share=(compared - bad) / compared,
        degenerate=int(np.count_nonzero(degenerate)),
        degenerate_within=int(np.count_nonzero(degenerate & ~off)),
    )


def _deviation(case: str, roi: str, place: int, evidence: Evidence) -> Deviation:
    name = feature_names(PAPER_1967)[place]
    mine, theirs = float(evidence.mine[place]), float(evidence.theirs[place])
    relative = abs(mine - theirs) / max(abs(theirs), SMALLEST_VALUE)
    return Deviation(case, roi, full_name(name), mine, theirs, relative, cause_of(name, evidence))
