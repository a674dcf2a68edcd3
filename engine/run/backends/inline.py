"""The inline backend: every task in this process, one after the other; for tests and debugging."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from engine.run.task import run_task


class InlineBackend:
    """Runs tasks where it stands."""

    def __init__(self, study: Path) -> None:
        self._study = study
        self.gpu_tasks: int | None = None

    def execute(self, keys: Sequence[str], beat: Callable[[], None], at_once: int | None = None) -> None:
        """Compute every key; a task put back to pending is tried again."""
        for key in keys:
            while run_task(self._study, key) == "pending":
                beat()
            beat()

    def close(self) -> None:
        """Nothing to end: this process is the worker."""
