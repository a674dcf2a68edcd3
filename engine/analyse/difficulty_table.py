"""One row a patient: how well the index lesion was segmented, and what might have made it hard."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
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
SHAPE_NUMBERS = ("sphericity", "maximum_3d_diameter_mm", "volume_ml", "elongation")
PLACE_NUMBERS = ("costal_contact_share", "contact_share", "distance_to_mediastinum_mm")


@dataclass(frozen=True, slots=True, eq=False)
class DifficultyTable:
    """Scores, numbers and groups of n patients; numbers are NaN and groups "unknown" where not known."""

    case_ids: tuple[str, ...]
    from_source: str
    to_source: str
    scores: dict[str, Floats]  # dsc, surface_dsc
    missed: NDArray[np.bool_]
    numbers: dict[str, Floats]  # SHAPE_NUMBERS and PLACE_NUMBERS
    places: dict[str, Texts]  # side, third, chest_wall_contact, lobe where given
    acquisition: dict[str, Texts]  # contrast, kernel_group, vendor, slice_thickness


def difficulty_table(
    overlaps: Cohort[Overlap],
    morphology: Cohort[Morphology],
    location: Cohort[Location],
    acquisition: Cohort[Acquisition],
    lobes: dict[str, str],
) -> DifficultyTable:
    """Patients whose tumour was compared with an independent reference: of the commonest pair of reader and model.

    One row a patient, so no one counts twice. Edit distances (accepted or corrected masks), readers and models among
    themselves are never mixed in. Shape and place come from the reference. lobes: by case, where they are given.

    DeclinedError without any such overlap.
    """
    pair = _commonest_pair(overlaps)
    chosen = {case: row for case, row in overlaps if _is_of(row, pair)}
    cases = tuple(sorted(chosen))
    shapes = {case: m for case, m in morphology if m.mask_source == REFERENCE and m.roi in TUMOUR_ROIS}
    places = {case: place for case, place in location if place.mask_source == REFERENCE}
    scans = dict(acquisition)
    groups = _place_groups([places.get(case) for case in cases])
    if lobes:
        groups["lobe"] = np.array([lobes.get(case, UNKNOWN) for case in cases])
    return DifficultyTable(
        case_ids=cases,
        from_source=pair[0],
        to_source=pair[1],
        scores={
            "dsc": np.array([chosen[case].dsc for case in cases]),
            "surface_dsc": np.array([chosen[case].surface_dsc for case in cases]),
        },
        missed=np.array([chosen[case].missed for case in cases], dtype=np.bool_),
        numbers=_numbers([shapes.get(c) for c in cases], SHAPE_NUMBERS)
        | _numbers([places.get(c) for c in cases], PLACE_NUMBERS),
        places=groups,
        acquisition=_scan_groups([scans.get(case) for case in cases]),
    )


def _commonest_pair(overlaps: Cohort[Overlap]) -> tuple[str, str]:
    """Reader and model of most comparisons with an independent reference; among equals the first that was named."""
    counts = Counter((row.from_source, row.to_source) for _, row in overlaps if _is_agreement(row))
    if not counts:
        raise DeclinedError("no tumour was outlined independently of the automatic mask: nothing to explain")
    return counts.most_common(1)[0][0]


def _is_agreement(row: Overlap) -> bool:
    return row.structure == "tumour" and row.comparison == "agreement"


def _is_of(row: Overlap, pair: tuple[str, str]) -> bool:
    return _is_agreement(row) and (row.from_source, row.to_source) == pair


def _numbers(found: Sequence[Morphology | Location | None], names: tuple[str, ...]) -> dict[str, Floats]:
    return {name: np.array([_number(record, name) for record in found], dtype=np.float64) for name in names}


def _number(record: Morphology | Location | None, name: str) -> float:
    value = None if record is None else getattr(record, name)
    return np.nan if value is None else float(value)


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
        "vendor": np.array([UNKNOWN if scan is None else scan.vendor for scan in found]),
        "slice_thickness": np.array([_slice_group(scan) for scan in found]),
    }


def _slice_group(scan: Acquisition | None) -> str:
    if scan is None or scan.slice_thickness_mm is None:
        return UNKNOWN
    return SLICE_GROUPS[int(np.searchsorted(SLICE_BOUNDS_MM, scan.slice_thickness_mm - 1e-9))]
