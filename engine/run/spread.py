"""One function over many inputs in as many processes as there are cores; for work that needs no ledger."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import TypeVar

from engine.processes import die_with_parent
from engine.run.children import SPAWN, use_threads

Item = TypeVar("Item")
Result = TypeVar("Result")


def spread(function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Results in the order of the items; function and items must be picklable, and workers die with this process."""
    workers = len(os.sched_getaffinity(0))
    if workers == 1:
        yield from map(function, items)
        return
    use_threads(1)
    with ProcessPoolExecutor(workers, SPAWN, initializer=die_with_parent, initargs=(os.getpid(),)) as pool:
        yield from pool.map(function, items)
