"""What many commands take, and how they say how far they are."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer

Directory = Annotated[Path, typer.Argument(help="the study folder")]
Backend = Annotated[
    str,
    typer.Option("--backend", help="local: a process per core; inline: this process; dask: --scheduler's workers"),
]
Scheduler = Annotated[
    str, typer.Option("--scheduler", help="compute on this Dask scheduler's workers: its address or its file")
]
AsJson = Annotated[bool, typer.Option("--json", help="one JSON object on stdout")]


def backend_of(backend: str, scheduler: str) -> str:
    """The runner's name of a backend from both options; empty: the environment's scheduler, else local."""
    if scheduler and backend not in ("", "dask"):
        raise typer.BadParameter(f"--scheduler goes with --backend dask, got {backend!r}")
    return f"dask:{scheduler}" if scheduler else backend


def report_building(done: int, total: int) -> None:
    """Log every tenth phantom, and the last."""
    if done % 10 == 0 or done == total:
        logging.getLogger("cohortscope").info("%d of %d phantoms", done, total)


def report_kills(done: int, wanted: int) -> None:
    """Log how many processes were killed after every study of a soak."""
    logging.getLogger("cohortscope").info("%d of %d killed", done, wanted)
