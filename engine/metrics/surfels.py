"""Surface elements of a voxel mask: area and volume under the marching-cubes surface of each 2x2x2 neighbourhood.

Lorensen's triangulation is not symmetric: a mask and its complement may get different surfaces. Two conventions mend
that, each by triangulating the complement of some codes turned inside out, and both are reproduced here from one
triangulation: google-deepmind/surface-distance (complement above four set corners) and PyRadiomics (complement where
one named corner is set). They differ only where two parts of a mask touch by an edge or a corner.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numba import njit
from numpy.typing import NDArray
from skimage.measure import marching_cubes

from store.volumes import BoolZyx, Triple

CODES = 256
FULL_CODE = CODES - 1
# Weight of each corner (z, y, x) of the neighbourhood, in the order of surface-distance.
CORNER_BITS = np.array([[[128, 64], [32, 16]], [[8, 4], [2, 1]]], dtype=np.uint8)
HALF_OF_CORNERS = 4
PYRADIOMICS_CORNER = 2

Triangles = tuple[NDArray[np.float64], ...]


def neighbour_codes(mask: BoolZyx) -> NDArray[np.uint8]:
    """The code 0..255 of every 2x2x2 neighbourhood of a mask, shape + 1; outside the array counts as background."""
    padded = np.pad(mask, 1).astype(np.uint8)
    z, y, x = (n + 1 for n in mask.shape)
    codes = np.zeros((z, y, x), dtype=np.uint8)
    for dz, dy, dx in np.ndindex(2, 2, 2):
        codes += padded[dz : dz + z, dy : dy + y, dx : dx + x] * CORNER_BITS[dz, dy, dx]
    return codes


def is_surface(codes: NDArray[np.uint8]) -> BoolZyx:
    """Where a neighbourhood holds both mask and background."""
    return np.asarray((codes != 0) & (codes != FULL_CODE), dtype=np.bool_)


@lru_cache(maxsize=8)
def surfel_areas_mm2(spacing_zyx_mm: Triple) -> NDArray[np.float64]:
    """Area in mm² of each of the 256 codes as surface-distance counts it (Nikolov et al., arXiv 1809.04430)."""
    return _areas(_surfel_triangles(), spacing_zyx_mm)


@lru_cache(maxsize=8)
def mesh_areas_mm2(spacing_zyx_mm: Triple) -> NDArray[np.float64]:
    """Area in mm² of each of the 256 codes as PyRadiomics 3.0.1 counts it (SurfaceArea)."""
    return _areas(_mesh_triangles(), spacing_zyx_mm)


@dataclass(frozen=True, slots=True)
class Mesh:
    """Area and volume of PyRadiomics' mesh of a mask (SurfaceArea, MeshVolume)."""

    area_mm2: float
    volume_mm3: float


def mesh_of(mask: BoolZyx, spacing_zyx_mm: Triple) -> Mesh:
    """The mesh of a mask z, y, x: areas by code, and the divergence theorem summed over all neighbourhoods."""
    padded = np.pad(mask, 1)
    sums = _sums_by_code(padded, CORNER_BITS.ravel())
    own, flux = _mesh_volumes()
    volume = own @ sums[:, 0] + (flux * sums[:, 1:]).sum() / 3.0
    area = float(mesh_areas_mm2(spacing_zyx_mm) @ sums[:, 0])
    return Mesh(area, float(abs(volume) * np.prod(spacing_zyx_mm)))


@lru_cache(maxsize=1)
def _mesh_volumes() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Volume (256,) below each code's triangles seen from its corner, and their summed area vectors (256, 3)."""
    own = np.array([np.linalg.det(t).sum() / 6.0 for t in _mesh_triangles()])
    return own, np.array([0.5 * _normals(t).sum(axis=0) for t in _mesh_triangles()])


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _sums_by_code(padded: BoolZyx, bits: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Number and summed z, y, x of the 2x2x2 neighbourhoods of each surface code, shape (256, 4)."""
    sums = np.zeros((CODES, 4), dtype=np.int64)
    for z in range(padded.shape[0] - 1):
        for y in range(padded.shape[1] - 1):
            for x in range(padded.shape[2] - 1):
                code = 0
                for corner in range(8):
                    if padded[z + (corner >> 2), y + ((corner >> 1) & 1), x + (corner & 1)]:
                        code += bits[corner]
                if 0 < code < FULL_CODE:
                    sums[code, 0] += 1
                    sums[code, 1] += z
                    sums[code, 2] += y
                    sums[code, 3] += x
    return sums


def _areas(triangles: Triangles, spacing_zyx_mm: Triple) -> NDArray[np.float64]:
    scale = np.array(spacing_zyx_mm)
    return np.array([0.5 * np.linalg.norm(_normals(t * scale), axis=1).sum() for t in triangles])


def _normals(triangles: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]))


@lru_cache(maxsize=1)
def _surfel_triangles() -> Triangles:
    return tuple(_triangles_of(code, code.bit_count() > HALF_OF_CORNERS) for code in range(CODES))


@lru_cache(maxsize=1)
def _mesh_triangles() -> Triangles:
    return tuple(_triangles_of(code, bool(code & PYRADIOMICS_CORNER)) for code in range(CODES))


def _triangles_of(code: int, inverted: bool) -> NDArray[np.float64]:
    """Triangles (n, 3 corners, z y x) of a code in units of the neighbourhood's edge, all facing the same way."""
    if code in (0, FULL_CODE):
        return np.zeros((0, 3, 3))
    corners = ((CORNER_BITS & (FULL_CODE - code if inverted else code)) > 0).astype(np.float32)
    vertices, faces, _, _ = marching_cubes(corners, 0.5, method="lorensen", allow_degenerate=False)
    triangles = vertices[faces].astype(np.float64)
    return np.asarray(triangles[:, ::-1] if inverted else triangles)
