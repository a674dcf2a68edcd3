"""Agreement of two mask files, without a study: what `python -m engine overlap` does."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from engine.acquire.nifti import grid_of_file, read_mask_file
from engine.measure.agreement import compare
from engine.protocol import Acquire, Agreement
from store.volumes import Mask

DEFINITIONS = {
    "surface_dsc": "Nikolov et al., arXiv 1809.04430, on voxel surfaces (= surface-distance, MONAI use_subvoxels)",
    "surface_dsc_smooth": "the same share on smoothed surfaces, closer to closed forms",
    "hd95_mm": "larger of both directed distances that 95 % of the surface area does not exceed",
}
LEFT_OUT = ("structure", "from_source", "to_source", "comparison")


def overlap_of_files(reference: Path, prediction: Path, tolerance_mm: float, label: int | None) -> dict[str, object]:
    """Every measure of the record Overlap, with the spacing x, y, z and what the surface measures mean.

    Files: NIfTI or NRRD masks on one grid, one label or the one named. An empty reference holds no lesion to find:
    excluded is then its reason and every measure None. RefusedError for masks that a study would refuse.
    """
    for path, role in ((reference, "reference"), (prediction, "prediction")):
        if not path.is_file():
            raise FileNotFoundError(f"the {role} file does not exist")
    rules = Acquire()
    grid = grid_of_file(reference, "reference", rules)
    first = read_mask_file(reference, "reference", grid, label, rules).voxels
    second = read_mask_file(prediction, "prediction", grid, label, rules).voxels
    found = compare(
        Mask("tumour", "independent", "reference", first, grid),
        Mask("tumour", "automatic", "prediction", second, grid),
        Agreement.model_validate({"tolerance_mm": tolerance_mm}),
    )
    facts = {"spacing_mm": list(grid.spacing_mm), "definitions": DEFINITIONS}
    if found is None:
        return {"dsc": None, "excluded": "the reference is empty: there is no lesion to find", **facts}
    measures = {name: value for name, value in asdict(found.overlap).items() if name not in LEFT_OUT}
    curve = {f"{point.tolerance_mm:g}": point.surface_dsc for point in found.curve}
    return {**measures, "surface_dsc_by_tolerance_mm": curve, "excluded": "", **facts}


def overlap_text(found: dict[str, object]) -> str:
    """The measures as lines of text."""
    shown = {name: value for name, value in found.items() if not isinstance(value, dict | list)}
    return "\n".join(
        f"{name:28s} {value:.4f}" if isinstance(value, float) else f"{name:28s} {'–' if value is None else value}"
        for name, value in shown.items()
        if value != ""
    )
