"""Stage `conform`: IBSI's references against our values, with a study's settings where IBSI dictates none.

IBSI dictates grid, interpolation, resegmentation, bin width and filter settings. A study decides where bins begin and
which backend measures; where that keeps a reference from being met, the row says so and what IBSI's own choice gives.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from engine.bench.conformance import BEYOND, CONFIGURATIONS, Configuration, conform
from engine.bench.ibsi2_maps import map_rows
from engine.bench.ibsi2_statistics import EXCESS, statistic_rows
from engine.bench.reference_files import NEEDED, REFERENCES_ABSENT
from engine.protocol import Features
from store.records import Conformity
from store.sources import ReferenceFiles

IBSI_FEATURES = Features(bin_origin="ibsi")
UNCROPPED = "of the whole image; the legacy backend filters a crop around each mask"
AXIS = "ours times the root of n / (n - 1): IBSI divides the scatter by n - 1"
CONVERSIONS = {
    "stat_kurt": EXCESS,
    "morph_pca_maj_axis": AXIS,
    "morph_pca_min_axis": AXIS,
    "morph_pca_least_axis": AXIS,
}


@dataclass(frozen=True, slots=True)
class Conformed:
    """Every row of the comparison."""

    rows: tuple[Conformity, ...]


def conform_study(references: ReferenceFiles, features: Features) -> Conformed:
    """Our values against IBSI-1's and IBSI-2's references, computed with a study's bin origin and backend."""
    return Conformed(conform_all(Path(references.folder), features))


def conform_all(shared: Path, features: Features) -> tuple[Conformity, ...]:
    """Every row of IBSI-1 and, where its files are there, of IBSI-2; ValueError without IBSI-1's files."""
    data = shared / "data"
    if not all((data / name).is_dir() for name in NEEDED):
        raise ValueError(f"conform {REFERENCES_ABSENT}")
    first = [row for one in CONFIGURATIONS for row in _study_rows(one, shared, features)]
    second = [*map_rows(data), *statistic_rows(data)] if (data / "ibsi2").is_dir() else []
    if features.backend == "legacy":
        second = [_with_note(row, UNCROPPED) for row in second]
    return (*(row if row.reason else _with_note(row, CONVERSIONS.get(row.tag, "")) for row in first), *second)


def _study_rows(one: Configuration, shared: Path, features: Features) -> tuple[Conformity, ...]:
    """A configuration's rows with the study's settings; what they keep from being met is computed again with IBSI's."""
    studied = _as_studied(one, features)
    rows = conform(shared, (studied,))
    if studied == one or all(row.verdict != "not met" for row in rows):
        return rows
    by_ibsi = {row.tag: row for row in conform(shared, (one,))}
    return tuple(_explained(row, by_ibsi[row.tag], studied) if row.verdict == "not met" else row for row in rows)


def _as_studied(one: Configuration, features: Features) -> Configuration:
    """Bins begin where the study begins them: at 0 for PyRadiomics' convention, which is all that `legacy` knows."""
    anchored = features.bin_origin == "pyradiomics" or features.backend == "legacy"
    binning = replace(one.binning, origin=None) if anchored else one.binning
    return replace(one, binning=binning, backend=features.backend)


def _explained(row: Conformity, by_ibsi: Conformity, studied: Configuration) -> Conformity:
    """Why a row is not met: what the same row gives with IBSI's bins and our engine."""
    backend = " and backend = legacy" if studied.backend == "legacy" else ""
    text = (
        f"level 1 is the lowest bin in the mask (bin_origin = pyradiomics{backend}) where IBSI counts from the lower"
        f" bound of its range; with bin_origin = ibsi ours is {by_ibsi.value:.6g}: {by_ibsi.verdict}"
    )
    return replace(row, reason=text) if row.reason == BEYOND else _with_note(row, text)


def _with_note(row: Conformity, note: str) -> Conformity:
    """A row whose reason also says something of its value; a row without a value stays as it is."""
    return replace(row, reason="; ".join(filter(None, (row.reason, note)))) if row.value is not None else row
