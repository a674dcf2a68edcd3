"""Commands about bundles: a study without its images handed on, taken in, and compared after a rerun."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Annotated

import typer

from engine.commands.arguments import AsJson, Directory
from engine.commands.custody import operator
from engine.run.bundle import write_bundle
from engine.run.unbundle import TableComparison, compare_bundle, computing_codes, unbundle
from store.access import authorise, record_action

bundle_app = typer.Typer(no_args_is_help=True)


@bundle_app.command("bundle")
def bundle_command(
    directory: Directory,
    to: Annotated[Path, typer.Option(help=".zip file")],
    run_id: Annotated[str, typer.Option("--run", help="a run; default the newest that went to the end")] = "",
) -> None:
    """Everything but images: plan, protocol, features, results, environment. Holds rows of single patients."""
    authorise(directory, operator(), "export pseudonymised")
    done = write_bundle(directory, to, run_id)
    record_action(directory, operator(), "export pseudonymised", f"bundle of {done.run_id} {done.sha256}")
    typer.echo(f"{done.run_id}: {done.cases} cases, {done.files} files, {done.bytes / 1e6:.1f} MB to {to.name}")
    typer.echo(f"sha256 {done.sha256}; pseudonymised, not anonymous: README.txt inside says who may have it")


@bundle_app.command("unbundle")
def unbundle_command(
    bundle: Annotated[Path, typer.Argument(help="a file of `bundle`")],
    directory: Annotated[Path, typer.Argument(help="a new folder")],
) -> None:
    """Unpack a bundle as a study folder; every file is checked first."""
    manifest = unbundle(bundle, directory)
    typer.echo(
        f"{manifest.run_id} of code {manifest.code_version}; `python -m engine run {directory}` computes its analysis"
        f" again, `python -m engine compare-bundle {directory}` compares"
    )


@bundle_app.command("compare-bundle")
def compare_command(directory: Directory, as_json: AsJson = False) -> None:
    """Do the results computed here equal the bundled ones, bit for bit? Exit 1 where one does not."""
    found = compare_bundle(directory)
    equal = all(one.equal == one.files for one in found)
    if as_json:
        typer.echo(json.dumps({"equal": equal, "tables": [dataclasses.asdict(one) for one in found]}))
    else:
        then, now = computing_codes(directory)
        code = [] if then == now else [f"bundled by code {then}, computed by code {now}"]
        typer.echo("\n".join([*map(comparison_line, found), *code, "EQUAL" if equal else "NOT EQUAL"]))
    if not equal:
        raise typer.Exit(1)


def comparison_line(one: TableComparison) -> str:
    """One kind of result in words."""
    if one.equal == one.files:
        return f"{one.kind:32s} equal ({one.files} file{'s' if one.files > 1 else ''})"
    size = f", at most {one.largest_relative:.1e} of a value" if one.largest_relative > 0 else ""
    columns = f" in {', '.join(one.columns)}" if one.columns else ""
    note = f"; {one.note}" if one.note else ""
    return f"{one.kind:32s} {one.files - one.equal} of {one.files} differ{columns}{size}{note}"
