"""Where a mask is wrong, on the tumour's own surface: how far the other's surface lies outside or inside, in mm."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray
from scipy import ndimage

from engine.geometry import Box, box_of, cropped_grid, index_to_points_mm
from engine.metrics.smooth_surface import distances_to_surface_mm, smooth_signed_distance_mm, smooth_surface
from engine.present.colours import MISSED, ROI_COLOURS
from engine.present.figures.layout import TEXT_SIZE
from store.volumes import Grid, Mask

Floats = NDArray[np.float64]
LARGEST_SHOWN_MM = 5.0
MARGIN_VOXELS = 6
AXES = {"xaxis": "to the left (mm)", "yaxis": "to the back (mm)", "zaxis": "to the head (mm)"}
INSIDE, OUTSIDE = ROI_COLOURS["whole_lung"], MISSED


@dataclass(frozen=True, slots=True, eq=False)
class ErrorMap:
    """A reference surface: corners x, y, z in LPS mm (v, 3), faces (n, 3), and the error at each corner in mm.

    Positive where the other mask reaches beyond the reference, negative where it falls short.
    """

    corners_mm: Floats
    faces: NDArray[np.int64]
    errors_mm: Floats


def error_map(reference: Mask, other: Mask) -> ErrorMap | None:
    """The error of another mask on the surface of a reference on the same grid; None where either is empty."""
    if not reference.voxels.any() or not other.voxels.any():
        return None
    box = _joint_box(reference, other)
    spacing = reference.grid.spacing_zyx_mm
    own = smooth_surface(reference.voxels[box], spacing)
    theirs = smooth_surface(other.voxels[box], spacing)
    if own is None or theirs is None:
        return None
    padded = np.pad(other.voxels[box], MARGIN_VOXELS)
    signed = smooth_signed_distance_mm(padded, spacing)
    index = (own.corners_mm / np.array(spacing)).T + MARGIN_VOXELS
    inside = ndimage.map_coordinates(signed, index, order=1, mode="nearest") > 0
    distance = distances_to_surface_mm(own.corners_mm, theirs)
    points = index_to_points_mm(own.corners_mm[:, ::-1] / np.array(reference.grid.spacing_mm), _grid(reference, box))
    return ErrorMap(points, own.faces, np.where(inside, distance, -distance))


def _joint_box(reference: Mask, other: Mask) -> Box:
    return box_of(reference.voxels | other.voxels)


def _grid(mask: Mask, box: Box) -> Grid:
    return cropped_grid(mask.grid, box)


def error_figure(found: ErrorMap) -> go.Figure:
    """The surface in patient space, coloured from short (blue) to beyond (vermilion), white where both agree."""
    x, y, z = found.corners_mm.T
    i, j, k = found.faces.T
    mesh = go.Mesh3d(
        x=x,
        y=y,
        z=z,
        i=i,
        j=j,
        k=k,
        intensity=found.errors_mm,
        cmin=-LARGEST_SHOWN_MM,
        cmax=LARGEST_SHOWN_MM,
        colorscale=[[0.0, INSIDE], [0.5, "#FFFFFF"], [1.0, OUTSIDE]],
        colorbar={"title": {"text": "Error (mm)", "side": "right"}, "thickness": 12},
        hovertemplate="%{intensity:.1f} mm<extra></extra>",
    )
    figure = go.Figure(mesh)
    axes = {axis: {"title": {"text": text}} for axis, text in AXES.items()}
    figure.update_layout(
        height=460,
        font={"size": TEXT_SIZE - 2},
        margin={"l": 0, "r": 0, "t": 10, "b": 0},
        paper_bgcolor="rgba(0,0,0,0)",
        scene={"aspectmode": "data"} | axes,
    )
    return figure
