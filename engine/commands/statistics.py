"""Commands about statistics of a CSV file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from engine.acquire.statistics_table import read_indicators, read_predictors, read_scores
from engine.commands.arguments import AsJson
from engine.run.icc_of_table import icc_of_table
from engine.statistics.delong import auc_interval, compare_aucs
from engine.statistics.mrmr import SCHEMES, are_discrete, mrmr_mid, mrmr_miq
from engine.statistics.stability import nogueira

stats_app = typer.Typer(no_args_is_help=True, help="Statistics of a CSV file, without a study.")
DISCRETE = {"MID": mrmr_mid, "MIQ": mrmr_miq}


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


@stats_app.command("delong")
def stats_delong(
    table: Annotated[Path, typer.Argument(help="CSV, one row a patient")],
    outcome: Annotated[str, typer.Option(help="column of the outcome")],
    event: Annotated[str, typer.Option(help="its value that is the event")],
    scores: Annotated[tuple[str, str], typer.Option(help="columns of two models' scores; higher must mean events")],
    as_json: AsJson = False,
) -> None:
    """Two areas under the ROC curve on the same patients and DeLong's test of their difference, as R pROC.

    For scores that no patient here was used to fit: on apparent or resampled predictions the test is not valid.
    """
    found = read_scores(table, outcome, event, scores)
    one, other = found.values.T
    compared = compare_aucs(found.outcome, one, other)
    areas = {name: auc_interval(found.outcome, column) for name, column in zip(scores, (one, other), strict=True)}
    n, events = len(found.outcome), int(found.outcome.sum())
    if as_json:
        facts = {
            "n": n,
            "events": events,
            "auc": {name: area.auc for name, area in areas.items()},
            "ci": {name: [area.lower, area.upper] for name, area in areas.items()},
            "difference": compared.difference,
            "difference_ci": [compared.lower, compared.upper],
            "z": compared.z,
            "p": compared.p_value,
        }
        typer.echo(json.dumps(facts))
        return
    typer.echo(f"n = {n}, {events} events")
    for name, area in areas.items():
        typer.echo(f"{name}: AUC {area.auc:.4f} (95 % CI {area.lower:.4f} to {area.upper:.4f})")
    tested = "not testable: both order all patients alike"
    if compared.z is not None:
        tested = f"z {compared.z:.4f}, p {compared.p_value:.4g}"
    typer.echo(
        f"{scores[0]} - {scores[1]}: {compared.difference:.4f} (95 % CI {compared.lower:.4f} to {compared.upper:.4f}),"
        f" {tested}"
    )


@stats_app.command("icc")
def stats_icc(
    table: Annotated[Path, typer.Argument(help="CSV, one measurement a row")],
    subject: Annotated[str, typer.Option(help="column of the subjects")],
    rater: Annotated[str, typer.Option(help="column of the raters")],
    value: Annotated[str, typer.Option(help="column of the measurements")],
    by: Annotated[str, typer.Option(help="column that tells quantities apart, one row of results each")] = "",
    to: Annotated[Path | None, typer.Option(help=".csv file; default stdout")] = None,
) -> None:
    """The six intraclass correlations with their exact 95 % bounds, as R psych::ICC(lmer = FALSE).

    Raters who left out a subject are left out: k remain. Cells are empty where fewer than two subjects or raters
    remain, or where nothing varies.
    """
    text = icc_of_table(table, subject, rater, value, by)
    if to is None:
        typer.echo(text, nl=False)
    else:
        to.write_text(text, encoding="utf-8")
        typer.echo(f"{text.count(chr(10)) - 1} rows to {to.name}")


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
