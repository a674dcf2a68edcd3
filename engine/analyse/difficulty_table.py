"""One row a patient: how well the index lesion was segmented, and what might have made it hard."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from store.records import Acquisition, Cohort, DeclinedError, Location, Morphology, Overlap

Floats = NDArray[np.float64]
Texts = NDArray[np.str_]
TUMOUR_ROIS = ("intratumoural", "tumour")
REFERENCE = "reference"
SLICE_BOUNDS_MM = (1.5, 3.0)
SLICE_GROUPS = ("up to 1.5 mm", "over 1.5 to 3 mm", "over 3 mm")
UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, eq=False)
class DifficultyTable:
    """Scores, numbers and groups of n patients; numbers are NaN and groups "unknown" where not known."""

    case_ids: tuple[str, ...]
    scores: dict[str, Floats]  # dsc, surface_dsc
    missed: NDArray[np.bool_]
    numbers: dict[str, Floats]
    places: dict[str, Texts]  # side, third, chest_wall_contact
    acquisition: dict[str, Texts]


def difficulty_table(
    overlaps: Cohort[Overlap],
    morphology: Cohort[Morphology],
    location: Cohort[Location],
    acquisition: Cohort[Acquisition],
) -> DifficultyTable:
    """Patients with a tumour overlap against an independent reference; the first reference of each, so no one counts
    twice. Edit distances (accepted or corrected masks) are never mixed in. Shape and place come from the reference.

    DeclinedError without any such overlap.
    """
    chosen: dict[str, Overlap] = {}
    for case, overlap in overlaps:
        if overlap.structure == "tumour" and overlap.comparison == "agreement":
            chosen.setdefault(case, overlap)
    if not chosen:
        raise DeclinedError("no tumour was outlined independently of the automatic mask: nothing to explain")
    cases = tuple(sorted(chosen))
    shapes = {case: m for case, m in morphology if m.mask_source == REFERENCE and m.roi in TUMOUR_ROIS}
    places = {case: place for case, place in location if place.mask_source == REFERENCE}
    scans = dict(acquisition)
    return DifficultyTable(
        case_ids=cases,
        scores={
            "dsc": np.array([chosen[case].dsc for case in cases]),
            "surface_dsc": np.array([chosen[case].surface_dsc for case in cases]),
        },
        missed=np.array([chosen[case].missed for case in cases], dtype=np.bool_),
        numbers={
            name: np.array([float(getattr(shapes[case], name)) if case in shapes else np.nan for case in cases])
            for name in ("sphericity", "maximum_3d_diameter_mm", "volume_ml")
        },
        places=_place_groups([places.get(case) for case in cases]),
        acquisition=_scan_groups([scans.get(case) for case in cases]),
    )


def _place_groups(found: list[Location | None]) -> dict[str, Texts]:
    contact = {True: "yes", False: "no", None: UNKNOWN}
    return {
        "side": np.array([UNKNOWN if place is None else place.side for place in found]),
        "third": np.array([UNKNOWN if place is None else place.third for place in found]),
        "chest_wall_contact": np.array([UNKNOWN if p is None else contact[p.chest_wall_contact] for p in found]),
    }


def _scan_groups(found: list[Acquisition | None]) -> dict[str, Texts]:
    return {
        "contrast": np.array([UNKNOWN if scan is None else scan.contrast for scan in found]),
        "kernel_group": np.array([UNKNOWN if scan is None else scan.kernel_group for scan in found]),
        "manufacturer": np.array([UNKNOWN if scan is None else scan.manufacturer or UNKNOWN for scan in found]),
        "slice_thickness": np.array([_slice_group(scan) for scan in found]),
    }


def _slice_group(scan: Acquisition | None) -> str:
    if scan is None or scan.slice_thickness_mm is None:
        return UNKNOWN
    return SLICE_GROUPS[int(np.searchsorted(SLICE_BOUNDS_MM, scan.slice_thickness_mm - 1e-9))]
