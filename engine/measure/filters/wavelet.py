"""Undecimated wavelet, level 1: eight images, low or high pass along x, y, z; periodic, as PyWavelets' swtn."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pywt
from numba import njit
from numpy.typing import NDArray

from engine.measure.filters.source import FilterSource
from engine.measure.levels import ValuesZyx

Volume = NDArray[np.float64]
Taps = NDArray[np.float64]


def wavelet(source: FilterSource) -> Iterator[tuple[str, ValuesZyx]]:
    """Images wavelet-LLL to wavelet-HHH, the first letter along x; three intermediates are held at a time."""
    if not source.recipe.wavelet:
        return
    bank = pywt.Wavelet(source.recipe.wavelet)
    taps = {"L": np.array(bank.dec_lo), "H": np.array(bank.dec_hi)}
    start = _with_reach(source, len(bank.dec_lo))
    for x, along_x in taps.items():
        one = _along_x(start, along_x)
        for y, along_y in taps.items():
            two = _along_y(one, along_y)
            for z, along_z in taps.items():
                yield f"wavelet-{x}{y}{z}", _along_z(two, along_z)


def _with_reach(source: FilterSource, taps: int) -> Volume:
    """The box with the voxels its filters reach before and after it, from the image repeated without end.

    An axis of odd length is first made even by its own first plane.
    """
    rows = []
    for side, size in zip(source.box, source.intensity_hu.shape, strict=True):
        period = size + size % 2
        index = np.arange(side.start - taps // 2 + 1, side.stop + taps // 2) % period
        rows.append(np.where(index == size, 0, index))
    return np.asarray(source.intensity_hu[np.ix_(*rows)], dtype=np.float64)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _along_x(volume: Volume, taps: Taps) -> Volume:
    reach = len(taps) - 1
    result = np.zeros((volume.shape[0], volume.shape[1], volume.shape[2] - reach))
    for z in range(result.shape[0]):
        for y in range(result.shape[1]):
            for tap in range(len(taps)):
                _add(result[z, y], taps[tap], volume[z, y, reach - tap : reach - tap + result.shape[2]])
    return result


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _along_y(volume: Volume, taps: Taps) -> Volume:
    reach = len(taps) - 1
    result = np.zeros((volume.shape[0], volume.shape[1] - reach, volume.shape[2]))
    for z in range(result.shape[0]):
        for y in range(result.shape[1]):
            for tap in range(len(taps)):
                _add(result[z, y], taps[tap], volume[z, y + reach - tap])
    return result


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _along_z(volume: Volume, taps: Taps) -> Volume:
    reach = len(taps) - 1
    result = np.zeros((volume.shape[0] - reach, volume.shape[1], volume.shape[2]))
    for z in range(result.shape[0]):
        for y in range(result.shape[1]):
            for tap in range(len(taps)):
                _add(result[z, y], taps[tap], volume[z + reach - tap, y])
    return result


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _add(row: Taps, tap: float, other: Taps) -> None:
    for x in range(len(row)):
        row[x] += tap * other[x]
