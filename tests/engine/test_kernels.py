"""What set-up compiles is every kernel."""

from __future__ import annotations

from pathlib import Path

from engine.kernels import compile_kernels

ENGINE = Path(__file__).parents[2] / "engine"


def test_every_module_with_kernels_has_compiled_code_beside_it():
    compile_kernels()
    modules = [path for path in ENGINE.rglob("*.py") if "import njit" in path.read_text()]
    assert len(modules) > 5
    without = [m.name for m in modules if not list((m.parent / "__pycache__").glob(f"{m.stem}.*.nbi"))]
    assert without == []
