"""A volume on a grid as the bytes of a gzipped NIfTI-1 file; nothing but voxels and where they lie goes in."""

from __future__ import annotations

import gzip
import struct

import numpy as np
from numpy.typing import NDArray

from store.volumes import Grid

HEADER_BYTES = 352
FAST = 1
MILLIMETRES = 2
SCANNER_POSITION = 1
CODES = {np.dtype(np.uint8): (2, 8), np.dtype(np.int16): (4, 16), np.dtype(np.float32): (16, 32)}
LPS_TO_RAS = np.array([[-1.0], [-1.0], [1.0]])


def nifti_gz(array: NDArray[np.generic], grid: Grid) -> bytes:
    """The file's bytes; array z, y, x of uint8, int16 or float32. TypeError for another kind, ValueError off the grid.

    The same volume gives the same bytes: no name, no date.
    """
    if array.dtype not in CODES:
        raise TypeError(f"a viewed volume is uint8, int16 or float32, got {array.dtype}")
    if array.shape != grid.shape_zyx:
        raise ValueError(f"array {array.shape} does not fill its grid {grid.shape_zyx}")
    code, bits = CODES[array.dtype]
    header = bytearray(HEADER_BYTES)
    struct.pack_into("<i", header, 0, 348)
    struct.pack_into("<8h", header, 40, 3, *grid.size_xyz, 1, 1, 1, 1)
    struct.pack_into("<2h", header, 70, code, bits)
    struct.pack_into("<8f", header, 76, 1.0, *grid.spacing_mm, 0, 0, 0, 0)
    struct.pack_into("<3f", header, 108, float(HEADER_BYTES), 1.0, 0.0)
    struct.pack_into("<B", header, 123, MILLIMETRES)
    struct.pack_into("<2h", header, 252, 0, SCANNER_POSITION)
    struct.pack_into("<12f", header, 280, *_affine(grid).ravel())
    header[344:348] = b"n+1\0"
    voxels = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    return gzip.compress(bytes(header) + voxels.tobytes(), FAST, mtime=0)


def _affine(grid: Grid) -> NDArray[np.float64]:
    """Rows x, y, z of RAS from voxel indices, 3 x 4."""
    matrix = np.array(grid.direction).reshape(3, 3) * np.array(grid.spacing_mm)
    return np.asarray(np.hstack([matrix, np.array(grid.origin_mm)[:, None]]) * LPS_TO_RAS, dtype=np.float64)
