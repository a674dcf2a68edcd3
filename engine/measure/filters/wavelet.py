"""Undecimated wavelet: low or high pass along x, y, z; periodic, as PyWavelets' swtn.

A further level filters the low passes of the one before by the same taps, not by stretched ones: PyRadiomics asks swtn
for one level at a time.
"""

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
    """Images wavelet-LLH to wavelet-HHH, wavelet2-LLH and so on, and the last level's LLL; first letter along x.

    The recipe's start level is the number of low passes before the first level, whose images are called wavelet-*.
    Three intermediates are held at a time.
    """
    recipe = source.recipe
    if not recipe.wavelet:
        return
    bank = pywt.Wavelet(recipe.wavelet)
    taps = {"L": np.array(bank.dec_lo), "H": np.array(bank.dec_hi)}
    last = recipe.wavelet_start_level + recipe.wavelet_level
    volume = _with_reach(source, len(bank.dec_lo), last)
    for level in range(1, last + 1):
        if level > recipe.wavelet_start_level:
            place = level - recipe.wavelet_start_level
            before, after = (reach * (last - level) for reach in _reach(len(bank.dec_lo)))
            inner = tuple(slice(before, size - after) for size in volume.shape)
            name = "wavelet" if place == 1 else f"wavelet{place}"
            for letters, image in _level(volume[inner], taps):
                if letters != "LLL" or level == last:
                    yield f"{name}-{letters}", image
        if level < last:
            volume = _along_z(_along_y(_along_x(volume, taps["L"]), taps["L"]), taps["L"])


def _level(start: Volume, taps: dict[str, Taps]) -> Iterator[tuple[str, Volume]]:
    for x, along_x in taps.items():
        one = _along_x(start, along_x)
        for y, along_y in taps.items():
            two = _along_y(one, along_y)
            for z, along_z in taps.items():
                yield f"{x}{y}{z}", _along_z(two, along_z)


def _reach(taps: int) -> tuple[int, int]:
    """Voxels that one level reads before and after the one it makes."""
    return taps // 2 - 1, taps // 2


def _with_reach(source: FilterSource, taps: int, levels: int) -> Volume:
    """The box with the voxels that all levels reach before and after it, from the image repeated without end.

    An axis of odd length is first made even by its own first plane.
    """
    before, after = (reach * levels for reach in _reach(taps))
    rows = []
    for side, size in zip(source.box, source.intensity_hu.shape, strict=True):
        period = size + size % 2
        index = np.arange(side.start - before, side.stop + after) % period
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
