"""What no chest CT is, whatever file it came in: its values, the size of its voxels and the unit of length."""

from __future__ import annotations

from store.records import Flag, RefusedError
from store.volumes import CtSeries, Grid

SMALLEST_INT16, LARGEST_INT16 = -32768, 32767
AIR_HU = -500
LARGEST_EDGE_MM = 15.0
SMALLEST_EDGE_MM = 0.1  # but for a targeted field of 100 mm in 1024 or 2048 pixels, which centimetres never measure
SMALLEST_FIELD_MM = 80.0  # the widest field of view of a scanner, 780 mm, is 78 in centimetres
THICKEST_CM, COARSEST_CM = 1.0, 0.31  # of a chest CT that is not in mm: slices up to 10 mm, pixels resampled up to 3 mm
USUAL_CM = 0.6  # slices up to 6 mm: thicker are refused of a full matrix alone
FINEST_CROP_MM = 0.15  # finer are wide fields and resampled images in cm, hardly ever crops of 300 mm in 2048 pixels
FULL_MATRIX = 256


def check_hu_range(ct: CtSeries, role: str) -> None:
    """RefusedError `hu_range` where a value fits no 16 bits: no CT has it; a sign or slope was read wrongly."""
    lowest, highest = float(ct.intensity_hu.min()), float(ct.intensity_hu.max())
    if lowest < SMALLEST_INT16 or highest > LARGEST_INT16:
        text = f"values reach from {lowest:.6g} to {highest:.6g}, which no CT has."
        remedy = "Check the rescale slope, the sign of stored values and the padding."
        raise RefusedError("hu_range", role, text, remedy)


def check_voxel_size(grid: Grid, role: str) -> None:
    """RefusedError `voxel_size` where voxels are not as large as in a chest CT: the unit of length is another.

    An edge under SMALLEST_EDGE_MM must span a field of view; a narrow image must be no likely one in centimetres.
    """
    edges = grid.spacing_mm
    too_fine = any(
        edge < SMALLEST_EDGE_MM and edge * voxels < SMALLEST_FIELD_MM
        for edge, voxels in zip(edges, grid.size_xyz, strict=True)
    )
    is_usual = max(edges) < USUAL_CM or min(grid.size_xyz[:2]) >= FULL_MATRIX
    in_centimetres = min(edges) < FINEST_CROP_MM and is_usual and _may_be_centimetres(grid)
    if too_fine or in_centimetres or max(edges) > LARGEST_EDGE_MM:
        text = f"voxels of {_edges_text(grid)} mm, which no chest CT has."
        remedy = "Check the unit of length in the header; it should be millimetres."
        raise RefusedError("voxel_size", role, text, remedy)


def size_flags(grid: Grid) -> tuple[Flag, ...]:
    """A flag where an image is a crop of very fine voxels or a coarse one in centimetres: its size does not tell."""
    if not _may_be_centimetres(grid):
        return ()
    text = f"voxels of {_edges_text(grid)} mm in so narrow an image: a crop of a very fine series, or centimetres."
    return (Flag("acquire", "narrow_image", text, "Check that the unit of length in the header is millimetres."),)


def _may_be_centimetres(grid: Grid) -> bool:
    """Whether a grid, if it were in centimetres, would be that of a chest CT: two of its sides are a body's at most."""
    edges = sorted(grid.spacing_mm)
    sides = sorted(edge * voxels for edge, voxels in zip(grid.spacing_mm, grid.size_xyz, strict=True))
    return sides[1] < SMALLEST_FIELD_MM and edges[1] < COARSEST_CM and edges[2] <= THICKEST_CM


def _edges_text(grid: Grid) -> str:
    return " x ".join(f"{edge:.4g}" for edge in grid.spacing_mm)


def air_flags(ct: CtSeries) -> tuple[Flag, ...]:
    """A flag where a series holds nothing like air: its values may not be HU."""
    lowest = float(ct.intensity_hu.min())
    if lowest <= AIR_HU:
        return ()
    text = f"the lowest value is {lowest:.0f}: no air in the image, or values that are not HU."
    return (Flag("acquire", "no_air", text, "Check that the values are Hounsfield units."),)
