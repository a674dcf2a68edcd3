"""Commands about prognosis: models carried elsewhere, and what a cohort could have detected."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Annotated

import typer

from engine.bench.claims import bench_claims, claim_lines
from engine.commands.arguments import AsJson, Directory
from engine.commands.benches import bench_app
from engine.present.wording.detection import detection_answer, detection_lines
from engine.present.wording.external import external_answer
from engine.run.carrying import apply_model, export_model
from engine.run.runner import detectable
from engine.run.spread import spread
from store.export import export_table, write_export
from store.queries.external import external_comparisons, external_summaries
from store.queries.prognosis import detection_rates
from store.snapshot import open_snapshot

prognosis_app = typer.Typer(no_args_is_help=True)


@prognosis_app.command("export-model")
def export_model_command(
    directory: Directory,
    to: Annotated[Path, typer.Option(help=".json file")],
    run_id: Annotated[str, typer.Option("--run", help="a run; default the latest that went to the end")] = "",
) -> None:
    """Write the models fitted on all patients: names, scaling, coding, coefficients or trees, baseline risk."""
    model = export_model(directory, to, run_id)
    arms = ", ".join(arm.model for arm in model.arms)
    typer.echo(f"{arms} (n = {model.training.n}, {model.training.events} events) to {to.name}")


@prognosis_app.command("apply")
def apply_command(
    model: Annotated[Path, typer.Argument(help="file of `export-model`")],
    other: Annotated[Path, typer.Argument(help="the study folder whose patients it is tested on")],
    to: Annotated[Path | None, typer.Option(help=".csv or .parquet file of the predictions")] = None,
    as_json: AsJson = False,
) -> None:
    """Test a model on another study: held-out AUC with DeLong's interval, calibration, DeLong's test of the arms."""
    run_id = apply_model(model, other)
    snapshot = open_snapshot(other)
    found, pairs = external_summaries(snapshot, run_id), external_comparisons(snapshot, run_id)
    if to is not None:
        write_export(export_table(other, "external_prediction", run_id), to)
    if as_json:
        arms = [dataclasses.asdict(row) for row in found]
        typer.echo(json.dumps({"arms": arms, "comparisons": [dataclasses.asdict(pair) for pair in pairs]}))
        return
    typer.echo(external_answer(found).replace("**", ""))
    for row in found:
        typer.echo(f"{row.model:24s} AUC {row.auc:.3f} ({row.auc_lo:.3f} to {row.auc_hi:.3f}), n = {row.n}")


@prognosis_app.command("detectable")
def detectable_command(directory: Directory, as_json: AsJson = False) -> None:
    """Plant gains in this study's own cohort: how often would each have been said to add?"""
    planted = detectable(directory)
    found = detection_rates(open_snapshot(directory), planted.run_id)
    if as_json:
        typer.echo(json.dumps({"rows": [dataclasses.asdict(row) for row in found]}))
        return
    typer.echo(detection_answer(found).replace("**", ""))
    typer.echo("\n".join(detection_lines(found)))


@bench_app.command("claims")
def bench_claims_command(
    studies: Annotated[int, typer.Option(min=2, help="cohorts drawn for every gain")] = 200,
    patients: Annotated[int, typer.Option(min=60, help="patients of each, 34 % with the event")] = 150,
    gain: Annotated[list[float] | None, typer.Option(help="planted AUC gain; repeatable; 0 is pure noise")] = None,
    resamples: Annotated[int, typer.Option(min=10, help="bootstraps of each")] = 40,
    as_json: AsJson = False,
) -> None:
    """What the comparison says of cohorts with a known truth: claim rate, bias and coverage at every planted gain."""
    found = bench_claims(studies, patients, tuple(gain or (0.0, 0.05, 0.10, 0.15, 0.20)), resamples, spread)
    if as_json:
        typer.echo(json.dumps({"rows": [dataclasses.asdict(row) for row in found]}))
    else:
        typer.echo("\n".join(claim_lines(found)))
