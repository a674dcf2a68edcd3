"""Commands about the intraclass correlation; `engine/commands.py` puts them into the command line."""

from __future__ import annotations

import dataclasses
import json
from typing import Annotated

import typer

from engine.bench.icc import bench_icc

AsJson = Annotated[bool, typer.Option("--json", help="one JSON object on stdout")]


def bench_icc_command(as_json: AsJson = False) -> None:
    """Our ICC of 5901 features x 153 patients x 20 measurements against a loop with pingouin (installed once)."""
    found = bench_icc()
    if as_json:
        typer.echo(json.dumps(dataclasses.asdict(found)))
        return
    typer.echo(
        f"{found.ratio:.0f} times less CPU time; largest difference {found.largest_difference:.1e}; {found.note}"
    )
