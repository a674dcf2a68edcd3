"""Commands about selection: signatures, statistics of a CSV without a study, the self-test, its bench."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Annotated

import typer

from engine.acquire.statistics_table import read_indicators, read_predictors
from engine.bench.selection import bench_selection, selection_lines
from engine.present.wording.self_test import self_test_answer
from engine.run.runner import self_test
from engine.run.signature import signature_text, take_signature
from engine.statistics.mrmr import SCHEMES, are_discrete, mrmr_mid, mrmr_miq
from engine.statistics.stability import nogueira
from store.queries.prognosis import self_test as self_test_results
from store.snapshot import open_snapshot

stats_app = typer.Typer(no_args_is_help=True, help="Statistics of a CSV file, without a study.")
Directory = Annotated[Path, typer.Argument(help="the study folder")]
AsJson = Annotated[bool, typer.Option("--json", help="one JSON object on stdout")]
DISCRETE = {"MID": mrmr_mid, "MIQ": mrmr_miq}


def signature_command(
    directory: Directory,
    top: Annotated[int, typer.Option(min=1, help="so many of the features kept most often")] = 10,
    to: Annotated[Path | None, typer.Option(help=".json file; default stdout")] = None,
) -> None:
    """Take the features kept most often as a list for other patients; on the study's own it is refused."""
    text = signature_text(take_signature(directory, top))
    if to is None:
        typer.echo(text)
    else:
        to.write_text(text + "\n", encoding="utf-8")
        typer.echo(f"to {to.name}; use it with `new DIR --signature {to.name}`")


def self_test_command(directory: Directory, as_json: AsJson = False) -> None:
    """Permute the outcomes and run the whole selection and comparison: every AUC must be 0.5 on average."""
    self_test(directory)
    found = self_test_results(open_snapshot(directory))
    if as_json:
        typer.echo(json.dumps({"rows": [dataclasses.asdict(row) for row in found]}))
    else:
        typer.echo(self_test_answer(found).replace("**", ""))


@stats_app.command("mrmr")
def stats_mrmr(
    table: Annotated[Path, typer.Argument(help="CSV, one row a patient")],
    outcome: Annotated[str, typer.Option(help="column of the classes")],
    k: Annotated[int, typer.Option("--k", min=1, help="features to select")] = 10,
    scheme: Annotated[str, typer.Option(help=f"one of {', '.join(SCHEMES)}")] = "FCQ",
    leave_out: Annotated[list[str] | None, typer.Option(help="a column that is no feature; repeatable")] = None,
    as_json: AsJson = False,
) -> None:
    """Features by minimum redundancy, maximum relevance, in order.

    MID and MIQ count levels where every column holds at most ten whole numbers (bits, as pymrmr), and take columns for
    Gaussian otherwise.
    """
    if scheme not in SCHEMES:
        raise typer.BadParameter(f"--scheme takes one of {', '.join(SCHEMES)}, got {scheme!r}")
    found = read_predictors(table, outcome, tuple(leave_out or ()))
    wanted = min(k, len(found.names))
    if scheme in DISCRETE and are_discrete(found.values):
        order, information = DISCRETE[scheme](found.values, found.outcome, wanted).order, "counted"
    else:
        order, information = SCHEMES[scheme](found.values, found.outcome, wanted, None), "Gaussian"
    names = [found.names[place] for place in order.tolist()]
    if as_json:
        kind = {} if scheme == "FCQ" else {"information": information}
        typer.echo(json.dumps({"selected": names, **kind}))
    else:
        typer.echo("\n".join(names))


@stats_app.command("stability")
def stats_stability(
    table: Annotated[Path, typer.Argument(help="CSV of 0 and 1: rows = resamples, columns = features")],
    as_json: AsJson = False,
) -> None:
    """Nogueira's stability of feature sets with its 95 % interval."""
    found = nogueira(read_indicators(table))
    values = {"stability": found.index, "se": found.standard_error, "lo": found.lower, "hi": found.upper}
    if found.index != found.index:
        raise ValueError("stability is not defined where every resample chose all features, or none")
    if as_json:
        typer.echo(json.dumps(values))
    else:
        typer.echo(f"{found.index:.4f} (95 % CI {found.lower:.4f} to {found.upper:.4f}, se {found.standard_error:.4f})")


def bench_selection_command(
    bootstraps: Annotated[int, typer.Option(min=2)] = 500,
    trees: Annotated[int, typer.Option(min=10, help="of each forest")] = 100,
    peers: Annotated[int, typer.Option(min=1, help="bootstraps that the peer is timed on")] = 3,
    as_json: AsJson = False,
) -> None:
    """The whole selection of 153 x 5901 values against mrmr_selection and scikit-learn (installed on first use)."""
    found = bench_selection(bootstraps, trees, peers)
    typer.echo(json.dumps(dataclasses.asdict(found)) if as_json else "\n".join(selection_lines(found)))
