"""The maximal correlation coefficient of a symmetric joint distribution, as PyRadiomics 3.0.1 computes it.

Its matrix Q is similar to the square of P_ij / sqrt(p_i p_j), whose largest eigenvalue 1 has the known vector sqrt(p):
the next one is found by Lanczos steps orthogonal to it, instead of all eigenvalues of a general matrix. PyRadiomics
adds 2.2e-16 to each p_i p_j, which rare levels feel; that shift of the eigenvalue is added to first order.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

EPSILON = float(np.spacing(1.0))
STEPS_BETWEEN_CHECKS = 8
SMALLEST_RESIDUAL = 1e-9
SMALLEST_STEP = 1e-14
Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def maximal_correlation(table: Matrix, margin: Vector) -> float:
    """MCC in 0..1 of a symmetric table (n, n) with its margin (n,); 1 where there is one level only."""
    if len(margin) < 2:
        return 1.0
    used = np.flatnonzero(margin > 0.0)
    if len(used) < 2:
        return 0.0
    root = np.sqrt(margin[used])
    scaled = np.empty((len(used), len(used)))
    for i in range(len(used)):
        for j in range(len(used)):
            scaled[i, j] = table[used[i], used[j]] / (root[i] * root[j])
    value, vector = _second_eigenpair(scaled, root)
    square = value * value + _shift(scaled, root, value, vector)
    return np.sqrt(square) if square > 0.0 else 0.0


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _second_eigenpair(scaled: Matrix, known: Vector) -> tuple[float, Vector]:
    """The eigenvalue of largest size with its vector, among those orthogonal to the known unit vector."""
    size = len(known)
    basis = np.zeros((size, size))
    basis[0] = known
    basis[1] = _orthogonal(_beginning(size), basis, 1)
    basis[1] /= np.sqrt((basis[1] ** 2).sum())
    small = np.zeros((size, size))
    value, vector = 0.0, basis[1].copy()
    for step in range(1, size):
        ahead = scaled @ basis[step]
        small[step, step] = (ahead * basis[step]).sum()
        ahead = _orthogonal(ahead, basis, step + 1)
        length = np.sqrt((ahead**2).sum())
        last = step == size - 1 or length < SMALLEST_STEP
        if last or step % STEPS_BETWEEN_CHECKS == 0:
            values, vectors = np.linalg.eigh(small[1 : step + 1, 1 : step + 1].copy())
            best = 0 if -values[0] > values[-1] else step - 1
            if last or length * abs(vectors[-1, best]) < SMALLEST_RESIDUAL:
                value = values[best]
                vector = basis[1 : step + 1].T.copy() @ vectors[:, best].copy()
                break
        basis[step + 1] = ahead / length
        small[step, step + 1] = small[step + 1, step] = length
    return value, vector


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _orthogonal(vector: Vector, basis: Matrix, count: int) -> Vector:
    """A vector without its parts along the first rows of a basis, taken out of it twice against rounding."""
    for _ in range(2):
        for row in range(count):
            along = basis[row]
            part = 0.0
            for place in range(len(vector)):
                part += vector[place] * along[place]
            for place in range(len(vector)):
                vector[place] -= part * along[place]
    return vector


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _beginning(size: int) -> Vector:
    """A fixed start with parts along every eigenvector."""
    vector = np.empty(size)
    state = 1
    for place in range(size):
        state = (state * 16807) % 2147483647
        vector[place] = state / 2147483647.0 - 0.5
    return vector


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _shift(scaled: Matrix, root: Vector, value: float, vector: Vector) -> float:
    """Change of an eigenvalue of Q, the square of `value`, by the epsilon in its quotients."""
    shift = 0.0
    for i in range(len(root)):
        for k in range(len(root)):
            product = (root[i] * root[k]) ** 2
            shift -= vector[i] * scaled[i, k] * vector[k] * EPSILON / (product + EPSILON)
    return shift * value
