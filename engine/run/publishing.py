"""The publisher's process as the runner sees it: asked often, publishing seldom, always once at the end."""

from __future__ import annotations

import logging
import os
import time
from contextlib import suppress
from pathlib import Path

from engine.run.children import SPAWN, STOP, publish_on_demand

SHORTEST_PAUSE_SECONDS = 5.0
PAUSE_PER_PUBLISH = 20.0
FULL_PAUSE_SECONDS = 2.0
MOST_DEATHS = 3  # one after the other, without a publication between them
log = logging.getLogger("cohortscope.run")


class PublisherProcess:
    """One child that publishes snapshots; at most every max(5 s, 20 x the last publication).

    A child that dies is begun again, for it holds nothing that is not on disk; a full disk is waited for.
    """

    def __init__(self, study: Path) -> None:
        self._study = study
        self._rest_until = 0.0
        self._damaged = self._deaths = 0
        self._full = False
        self._begin()

    def beat(self) -> None:
        """Ask for a publication when the last one is over and the pause has passed."""
        if self._asked and self._pipe.poll():
            self._wait()
        if not self._asked and time.monotonic() >= self._rest_until:
            self._ask()

    def publish_now(self) -> int:
        """Publish everything recorded so far; returns how many damaged results were forgotten since last asked.

        Waits for room while the disk is full. RuntimeError when the publisher dies again and again.
        """
        self._wait()
        self._ask()
        while not self._wait():
            time.sleep(FULL_PAUSE_SECONDS if self._full else 0.0)
            self._ask()
        damaged, self._damaged = self._damaged, 0
        return damaged

    def close(self) -> None:
        """End the process when it is idle."""
        self._wait()
        with suppress(OSError):
            self._pipe.send(STOP)
        self._process.join()

    def kill(self) -> None:
        """End the process at once."""
        self._process.kill()
        self._process.join()

    def _begin(self) -> None:
        self._pipe, theirs = SPAWN.Pipe()
        self._process = SPAWN.Process(target=publish_on_demand, args=(str(self._study), os.getpid(), theirs))
        self._process.start()
        theirs.close()
        self._asked = False

    def _ask(self) -> None:
        try:
            self._pipe.send("publish")
        except OSError:
            self._died()
        else:
            self._asked = True

    def _wait(self) -> bool:
        """Whether what was asked for was published; False when nothing was asked, or it died, or the disk is full."""
        if not self._asked:
            return False
        try:
            took, damaged, full = self._pipe.recv()
        except (EOFError, OSError):
            self._died()
            return False
        self._asked = False
        self._say_room(bool(full))
        pause = FULL_PAUSE_SECONDS if full else max(SHORTEST_PAUSE_SECONDS, PAUSE_PER_PUBLISH * took)
        self._rest_until = time.monotonic() + pause
        self._damaged += int(damaged)
        self._deaths = 0
        return not full

    def _say_room(self, full: bool) -> None:
        if full and not self._full:
            log.warning("the study's disk has no room to publish; free some and it goes on by itself, or cancel")
        if self._full and not full:
            log.warning("there is room to publish again")
        self._full = full

    def _died(self) -> None:
        """Begin the child again; RuntimeError when it died too often in a row."""
        self._process.join()
        self._deaths += 1
        if self._deaths >= MOST_DEATHS:
            text = f"the publisher process died {self._deaths} times; results are safe, start the run again"
            raise RuntimeError(text)
        log.warning("the publisher process died; it is begun again")
        self._begin()
