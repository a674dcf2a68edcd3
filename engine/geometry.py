"""Axis order, stated once: arrays are z, y, x; spacing, origin, points and sizes are x, y, z in LPS millimetres."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from engine.spline import resample_spline, resample_turned
from store.volumes import BoolZyx, Grid, Triple, VolumeZyx

Box = tuple[slice, slice, slice]
SAME_POSITION_VOXELS = 1e-3
LARGEST_PLAIN_HU = 32767
SAME_DIRECTION = 1e-9
HALFWAY_VOXELS = 1e-9


def grid_of(image: sitk.Image) -> Grid:
    """The grid of an ITK image."""
    x, y, z = image.GetSize()
    sx, sy, sz = image.GetSpacing()
    ox, oy, oz = image.GetOrigin()
    return Grid((x, y, z), (sx, sy, sz), (ox, oy, oz), tuple(image.GetDirection()))


def to_image(array: NDArray[np.generic], grid: Grid) -> sitk.Image:
    """An ITK image of an array z, y, x on a grid; booleans become uint8."""
    image = sitk.GetImageFromArray(array.astype(np.uint8) if array.dtype == np.bool_ else array)
    image.SetSpacing(grid.spacing_mm)
    image.SetOrigin(grid.origin_mm)
    image.SetDirection(grid.direction)
    return image


def same_grid(one: Grid, other: Grid) -> bool:
    """Whether two grids hold the same voxels: equal size, corners within a thousandth of a voxel."""
    if one.size_xyz != other.size_xyz:
        return False
    allowed_mm = SAME_POSITION_VOXELS * min(one.spacing_mm)
    return bool(np.abs(corners_mm(one) - corners_mm(other)).max() <= allowed_mm)


def corners_mm(grid: Grid) -> NDArray[np.float64]:
    """Centres of the eight corner voxels, shape (8, 3), x, y, z in millimetres."""
    ends = [(0, n - 1) for n in grid.size_xyz]
    index = np.array([(x, y, z) for x in ends[0] for y in ends[1] for z in ends[2]], dtype=np.float64)
    return index_to_points_mm(index, grid)


def index_to_points_mm(index_xyz: NDArray[np.float64], grid: Grid) -> NDArray[np.float64]:
    """Points in millimetres of continuous indices x, y, z, both shape (n, 3)."""
    matrix = np.array(grid.direction).reshape(3, 3) * np.array(grid.spacing_mm)
    return np.asarray(np.asarray(index_xyz, dtype=np.float64) @ matrix.T + np.array(grid.origin_mm), dtype=np.float64)


def points_to_index(points_mm: NDArray[np.float64], grid: Grid) -> NDArray[np.float64]:
    """Continuous indices x, y, z of points in millimetres, both shape (n, 3)."""
    matrix = np.array(grid.direction).reshape(3, 3) * np.array(grid.spacing_mm)
    return np.linalg.solve(matrix, (np.asarray(points_mm, dtype=np.float64) - np.array(grid.origin_mm)).T).T


def resampled_grid(grid: Grid, spacing_mm: tuple[float, float, float]) -> Grid:
    """The grid of the same extent at another spacing, centred as PyRadiomics does: origin + (new - old) / 2."""
    old, new = np.array(grid.spacing_mm), np.array(spacing_mm)
    size = np.maximum(1, np.ceil(np.array(grid.size_xyz) * old / new - 1e-9)).astype(int)
    matrix = np.array(grid.direction).reshape(3, 3)
    origin = np.array(grid.origin_mm) + matrix @ (0.5 * (new - old))
    return Grid(
        (int(size[0]), int(size[1]), int(size[2])),
        (float(new[0]), float(new[1]), float(new[2])),
        (float(origin[0]), float(origin[1]), float(origin[2])),
        grid.direction,
    )


def turned_grid(grid: Grid, degrees: float, pivot_mm: Triple, shift_mm: Triple) -> Grid:
    """A grid turned about its own z axis through a pivot (degrees, from +x towards +y), then shifted along its axes.

    Voxel (i, j, k) of the result lies where voxel (i, j, k) of the grid comes to lie.
    """
    axes = np.array(grid.direction).reshape(3, 3)
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    turn = axes @ np.array([[cosine, -sine, 0.0], [sine, cosine, 0.0], [0.0, 0.0, 1.0]]) @ axes.T
    pivot, shift = np.array(pivot_mm), axes @ np.array(shift_mm)
    origin = pivot + turn @ (np.array(grid.origin_mm) - pivot) + shift
    turned = turn @ axes if degrees else axes
    x, y, z = (float(value) for value in origin)
    return Grid(grid.size_xyz, grid.spacing_mm, (x, y, z), tuple(float(value) for value in turned.ravel()))


def box_on(target: Grid, source: Grid, margin: int) -> Box:
    """The box (z, y, x slices) of a target grid that holds all of a source grid and a margin of voxels, clipped to it.

    At least one voxel along each axis, even where the source lies beside the target.
    """
    places = points_to_index(corners_mm(source), target)
    low = np.floor(places.min(axis=0)).astype(int) - margin
    high = np.ceil(places.max(axis=0)).astype(int) + margin + 1
    sides = []
    for start, stop, size in zip(low, high, target.size_xyz, strict=True):
        first = min(max(int(start), 0), size - 1)
        sides.append(slice(first, max(min(int(stop), size), first + 1)))
    return (sides[2], sides[1], sides[0])


def box_of(mask: BoolZyx, margin: tuple[int, int, int] = (0, 0, 0)) -> Box:
    """The bounding box z, y, x of a non-empty mask grown by a margin in voxels, clipped to the array."""
    if not mask.any():
        raise ValueError("an empty mask has no bounding box")
    ranges = []
    for axis in range(3):
        line = np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis)))
        ranges.append(
            slice(max(0, int(line[0]) - margin[axis]), min(mask.shape[axis], int(line[-1]) + 1 + margin[axis]))
        )
    return (ranges[0], ranges[1], ranges[2])


def cropped_grid(grid: Grid, box: Box) -> Grid:
    """The grid of a box (z, y, x slices) cut from a grid."""
    z, y, x = box
    corner = index_to_points_mm(np.array([[x.start, y.start, z.start]], dtype=np.float64), grid)[0]
    return Grid(
        (x.stop - x.start, y.stop - y.start, z.stop - z.start),
        grid.spacing_mm,
        (float(corner[0]), float(corner[1]), float(corner[2])),
        grid.direction,
    )


def on_larger_grid(voxels: BoolZyx, own: Grid, target: Grid) -> BoolZyx:
    """A mask of a `cropped_grid` on the grid it was cropped from; ValueError where it is no whole box of that grid."""
    place = points_to_index(np.array([own.origin_mm]), target)[0]
    x, y, z = (int(n) for n in np.rint(place))
    box = tuple(slice(start, start + size) for start, size in zip((z, y, x), voxels.shape, strict=True))
    inside = all(side.start >= 0 and side.stop <= n for side, n in zip(box, target.shape_zyx, strict=True))
    if not inside or not same_grid(own, cropped_grid(target, (box[0], box[1], box[2]))):
        raise ValueError(f"the mask's grid must be a box of the target grid, got {own} in {target}")
    placed = np.zeros(target.shape_zyx, dtype=np.bool_)
    placed[box] = voxels
    return placed


def resample_intensity(array: VolumeZyx, source: Grid, target: Grid, outside_hu: float) -> NDArray[np.float32]:
    """A CT array on another grid by cubic B-spline, float32; points outside the source take `outside_hu`.

    The values are ITK's. Parallel grids are resampled axis by axis, fifty times faster than ITK, and grids turned about
    their common z axis plane by plane; grids that hold the same voxels need no resampling, because the spline goes
    through its voxels.
    """
    if same_grid(source, target):
        return np.array(array, dtype=np.float32)
    if _parallel(source, target):
        return np.asarray(resample_spline(array, places_zyx(source, target), outside_hu), dtype=np.float32)
    if _turned_in_plane(source, target):
        z, y, x = _turned_places(source, target)
        return np.asarray(resample_turned(array, z, y, x, outside_hu), dtype=np.float32)
    image = to_image(array.astype(np.float32), source)
    result = sitk.Resample(
        image, to_reference(target), sitk.Transform(), sitk.sitkBSpline, float(outside_hu), sitk.sitkFloat32
    )
    return np.asarray(sitk.GetArrayFromImage(result), dtype=np.float32)


def resample_mask(mask: BoolZyx, source: Grid, target: Grid) -> BoolZyx:
    """A mask on another grid by nearest neighbour; halfway between two voxels the one of the higher index."""
    if same_grid(source, target):
        return mask.copy()
    if not _parallel(source, target) and _turned_in_plane(source, target):
        return _nearest_turned(mask, *_turned_places(source, target))
    if not _parallel(source, target):
        turned = to_image(mask, source), to_reference(target), sitk.Transform(), sitk.sitkNearestNeighbor
        return np.asarray(sitk.GetArrayFromImage(sitk.Resample(*turned, 0, sitk.sitkUInt8))).astype(np.bool_)
    moved = mask
    for axis in (2, 1, 0):
        moved = _nearest(moved, axis, places_zyx(source, target)[axis])
    return moved


def _nearest(mask: BoolZyx, axis: int, places: NDArray[np.float64]) -> BoolZyx:
    """A mask at the voxels nearest to continuous indices of one axis; False beyond its ends."""
    nearest = np.floor(places + 0.5 + HALFWAY_VOXELS).astype(np.int64)
    inside = (nearest >= 0) & (nearest < mask.shape[axis])
    found = np.take(mask, np.where(inside, nearest, 0), axis=axis)
    found[(slice(None),) * axis + (~inside,)] = False
    return found


def _nearest_turned(mask: BoolZyx, z: NDArray[np.float64], y: NDArray[np.float64], x: NDArray[np.float64]) -> BoolZyx:
    """A mask at the voxels nearest to continuous indices z (n,) and y, x (rows, columns) of each plane."""
    found = [np.floor(places + 0.5 + HALFWAY_VOXELS).astype(np.int64) for places in (z, y, x)]
    inside = [(place >= 0) & (place < size) for place, size in zip(found, mask.shape, strict=True)]
    rows, columns = (np.where(there, place, 0) for place, there in zip(found[1:], inside[1:], strict=True))
    result = np.zeros((len(z), *y.shape), dtype=np.bool_)
    for number, (place, there) in enumerate(zip(found[0], inside[0], strict=True)):
        if there:
            result[number] = mask[place][rows, columns] & inside[1] & inside[2]
    return result


def _turned_in_plane(one: Grid, other: Grid) -> bool:
    """Whether two grids have the same z axis, whatever their x and y axes."""
    third = [np.array(grid.direction).reshape(3, 3)[:, 2] for grid in (one, other)]
    return bool(np.abs(third[0] - third[1]).max() <= SAME_DIRECTION)


def _turned_places(source: Grid, target: Grid) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Continuous indices in a source of the target's voxels: z (n,), and y, x (rows, columns) of every plane."""
    nx, ny, nz = target.size_xyz
    y, x = np.meshgrid(np.arange(ny, dtype=np.float64), np.arange(nx, dtype=np.float64), indexing="ij")
    flat = np.stack([x.ravel(), y.ravel(), np.zeros(x.size)], axis=1)
    plane = points_to_index(index_to_points_mm(flat, target), source)
    ends = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    first, second = points_to_index(index_to_points_mm(ends, target), source)[:, 2]
    z = first + (second - first) * np.arange(nz)
    return z, plane[:, 1].reshape(ny, nx), plane[:, 0].reshape(ny, nx)


def places_zyx(source: Grid, target: Grid) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Continuous indices in a source of the target's voxels along z, y and x; the grids must be parallel."""
    first, second = points_to_index(index_to_points_mm(np.array([[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]]), target), source)
    z, y, x = (first[a] + (second[a] - first[a]) * np.arange(target.size_xyz[a]) for a in (2, 1, 0))
    return z, y, x


def _parallel(one: Grid, other: Grid) -> bool:
    """Whether two grids have the same axes."""
    return bool(np.abs(np.array(one.direction) - np.array(other.direction)).max() <= SAME_DIRECTION)


def to_reference(grid: Grid) -> sitk.Image:
    """A one-byte ITK image that only carries a grid."""
    image = sitk.Image(list(grid.size_xyz), sitk.sitkUInt8)
    image.SetSpacing(grid.spacing_mm)
    image.SetOrigin(grid.origin_mm)
    image.SetDirection(grid.direction)
    return image
