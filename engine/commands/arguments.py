"""What many commands take, and how they say how far they are."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer

Directory = Annotated[Path, typer.Argument(help="the study folder")]
AsJson = Annotated[bool, typer.Option("--json", help="one JSON object on stdout")]


def report_building(done: int, total: int) -> None:
    """Log every tenth phantom, and the last."""
    if done % 10 == 0 or done == total:
        logging.getLogger("cohortscope").info("%d of %d phantoms", done, total)
