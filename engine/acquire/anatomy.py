"""Stage `label_maps`: the anatomical label map that lies beside a case's image, where there is one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from engine.acquire.file_cases import ANATOMY_ROLE
from engine.acquire.nifti import read_label_map
from engine.protocol import Acquire
from engine.training_protocol import Anatomy
from store.records import RefusedError
from store.sources import CaseSource
from store.volumes import CtSeries, LabelMaps, Mask

SOURCE = "label map"


@dataclass(frozen=True, slots=True, eq=False)
class Mapped:
    """The structures of one case's label map; none when it has no map or another source is chosen."""

    maps: LabelMaps


def read_label_maps(source: CaseSource, ct: CtSeries, rules: Acquire, anatomy: Anatomy) -> Mapped:
    """One mask a named value of the label map, on the CT's grid (structure anatomy, lesion = value).

    RefusedError for another geometry, values that are not whole, and a value beyond the names in anatomy.labels.
    """
    file = next((one for one in source.files if one.role == ANATOMY_ROLE), None)
    if file is None or anatomy.source != "label maps":
        return Mapped(LabelMaps(()))
    values = read_label_map(Path(file.path), file.role, ct.grid, rules)
    highest = int(values.max())
    if highest > len(anatomy.labels):
        text = f"it holds the value {highest}, and anatomy.labels names {len(anatomy.labels)}."
        raise RefusedError("unnamed_label", file.role, text, "Name every value of the map in anatomy.labels.")
    masks = [
        Mask("anatomy", "independent", SOURCE, values == value, ct.grid, value, name)
        for value, name in enumerate(anatomy.labels, start=1)
    ]
    return Mapped(LabelMaps(tuple(mask for mask in masks if mask.voxels.any())))
