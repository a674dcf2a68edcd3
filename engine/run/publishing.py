"""The publisher's process as the runner sees it: asked often, publishing seldom, always once at the end."""

from __future__ import annotations

import os
import time
from pathlib import Path

from engine.run.children import SPAWN, STOP, publish_on_demand

SHORTEST_PAUSE_SECONDS = 5.0
PAUSE_PER_PUBLISH = 20.0


class PublisherProcess:
    """One child that publishes snapshots; at most every max(5 s, 20 x the last publication)."""

    def __init__(self, study: Path) -> None:
        self._study = study
        self._pipe, theirs = SPAWN.Pipe()
        self._process = SPAWN.Process(target=publish_on_demand, args=(str(study), os.getpid(), theirs))
        self._process.start()
        theirs.close()
        self._asked = False
        self._rest_until = 0.0
        self._damaged = 0

    def beat(self) -> None:
        """Ask for a publication when the last one is over and the pause has passed."""
        self._collect()
        if not self._asked and time.monotonic() >= self._rest_until:
            self._ask()

    def publish_now(self) -> int:
        """Publish everything recorded so far; returns how many damaged results were forgotten since last asked."""
        self._wait()
        self._ask()
        self._wait()
        damaged, self._damaged = self._damaged, 0
        return damaged

    def close(self) -> None:
        """End the process when it is idle."""
        self._wait()
        self._pipe.send(STOP)
        self._process.join()

    def kill(self) -> None:
        """End the process at once."""
        self._process.kill()
        self._process.join()

    def _ask(self) -> None:
        self._pipe.send("publish")
        self._asked = True

    def _collect(self) -> None:
        if self._asked and self._pipe.poll():
            self._wait()

    def _wait(self) -> None:
        if not self._asked:
            return
        try:
            took, damaged = self._pipe.recv()
        except EOFError as error:
            raise RuntimeError("the publisher process died; results are safe, start the run again") from error
        self._damaged += int(damaged)
        self._rest_until = time.monotonic() + max(SHORTEST_PAUSE_SECONDS, PAUSE_PER_PUBLISH * took)
        self._asked = False
