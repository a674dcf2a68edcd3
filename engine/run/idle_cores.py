"""Independent parts of one task, computed on the cores that other workers leave idle."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from threading import Thread
from typing import TypeVar

from store.sources import Sharing

S = TypeVar("S")
R = TypeVar("R")


class IdleCores(Sharing):
    """Threads beside the task's own, as many as workers have nothing to do; looked at anew before every part.

    The last and largest case of a cohort would else be computed by one worker while the others wait for it. Parts must
    not depend on one another and spend their time where Python's lock is released.
    """

    def __init__(self, idle: Callable[[], int]) -> None:
        self._idle = idle

    def map(self, function: Callable[[S], R], parts: Sequence[S]) -> list[R]:
        """As `Sharing.map`; the error of the earliest part that failed is raised once every thread has ended."""
        waiting = deque(range(len(parts)))
        done: dict[int, R] = {}
        failed: dict[int, Exception] = {}
        helpers: list[Thread] = []

        def take_one() -> None:
            try:
                place = waiting.popleft()
            except IndexError:
                return
            try:
                done[place] = function(parts[place])
            except Exception as error:  # noqa: BLE001  raised below, in the task's own thread
                failed[place] = error

        def help_out(rank: int) -> None:
            while waiting and not failed and rank < self._idle():
                take_one()

        while waiting and not failed:
            helpers = [helper for helper in helpers if helper.is_alive()]
            if len(helpers) < min(self._idle(), len(waiting) - 1):
                helpers.append(Thread(target=help_out, args=(len(helpers),)))
                helpers[-1].start()
            take_one()
        for helper in helpers:
            helper.join()
        if failed:
            raise failed[min(failed)]
        return [done[place] for place in range(len(parts))]
