"""Commands of the team meeting: the report as a file, one figure as a picture."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated

import typer

from engine.commands.arguments import AsJson, Directory
from engine.commands.custody import operator
from engine.present.disclosure import AGGREGATE
from engine.present.pack import at_level
from engine.run.meeting_desk import make_report
from engine.run.meeting_pack import SUFFIXES, paper_exhibits, picture_bytes, shown_run

report_app = typer.Typer(no_args_is_help=True)
RunId = Annotated[str, typer.Option("--run", help="a run; default the latest that went to the end")]
Level = Annotated[
    str, typer.Option(help="aggregate: no patient's row, id, or count under 5; pseudonymised; images: with slices")
]


@report_app.command("report")
def report_command(
    directory: Directory,
    to: Annotated[Path, typer.Option(help=f"{', '.join(SUFFIXES)} file")],
    level: Level = AGGREGATE,
    meeting: Annotated[str, typer.Option(help="whose meeting; default the figures of the paper")] = "",
    run_id: RunId = "",
    as_json: AsJson = False,
) -> None:
    """Write the meeting pack: slides with charts that can be edited, one web page, or PDF (needs a Chromium)."""
    if to.suffix not in SUFFIXES:
        raise typer.BadParameter(f"--to must end in {', '.join(SUFFIXES)}, got {to.name!r}")
    begun = time.monotonic()
    raw = make_report(directory, operator(), meeting, level, to.suffix, run_id)
    to.write_bytes(raw)
    seconds = round(time.monotonic() - begun, 1)
    said = {"file": to.name, "level": level, "bytes": len(raw), "seconds": seconds}
    typer.echo(json.dumps(said) if as_json else f"{to.name}: {level}, {len(raw)} bytes in {seconds} s")


@report_app.command("figure")
def figure_command(
    directory: Directory,
    name: Annotated[str, typer.Argument(help="key of a figure of the paper; --list names them")] = "",
    to: Annotated[Path | None, typer.Option(help=".png or .svg file (needs a Chromium)")] = None,
    level: Level = AGGREGATE,
    run_id: RunId = "",
    listed: Annotated[bool, typer.Option("--list", help="only list the figures of this run")] = False,
) -> None:
    """Write one figure with its caption and provenance as .png or .svg."""
    found = {exhibit.key: (page, exhibit) for page, exhibit in paper_exhibits(shown_run(directory, run_id))}
    if listed:
        typer.echo("\n".join(f"{key}: {exhibit.title}" for key, (_, exhibit) in found.items()))
        return
    if to is None or to.suffix not in (".png", ".svg"):
        raise typer.BadParameter("give --to FILE.png or FILE.svg")
    if name not in found:
        raise typer.BadParameter(f"figure must be one of {', '.join(found)}, got {name!r}")
    page, exhibit = found[name]
    to.write_bytes(picture_bytes(at_level(exhibit, page, level), to.suffix))
    typer.echo(f"{exhibit.title} to {to.name}")
