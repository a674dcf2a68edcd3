"""What made a result: versions of our code and of the packages it stands on."""

from __future__ import annotations

import functools
import hashlib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

HOUSE = Path(__file__).resolve().parents[2]
PACKAGES = (
    *("numpy", "scipy", "pandas", "SimpleITK", "pydicom", "pyradiomics", "torch", "nnunetv2", "scikit-learn"),
    *("lifelines", "statsmodels", "numba", "duckdb", "pyarrow", "streamlit", "plotly"),
)


@functools.cache
def code_version() -> str:
    """First 12 hex digits of the sha256 over all source files of engine and store."""
    state = hashlib.sha256()
    for part in ("engine", "store"):
        for path in sorted((HOUSE / part).rglob("*.py")):
            state.update(path.relative_to(HOUSE).as_posix().encode() + b"\0" + path.read_bytes())
    return state.hexdigest()[:12]


@functools.cache
def package_versions() -> dict[str, str]:
    """Installed version of every package that can change a number."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "absent"
    return found
