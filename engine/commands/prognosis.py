"""Commands about prognosis: models carried elsewhere, and what a cohort could have detected."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Annotated

import typer

from engine.commands.arguments import AsJson, Directory
from engine.present.wording.external import external_answer
from engine.run.carrying import apply_model, export_model
from store.export import export_table, latest_run_id, write_export
from store.queries.external import external_comparisons, external_summaries
from store.queries.study import declined, failures
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
    apply_model(model, other)
    snapshot = open_snapshot(other)
    run_id = latest_run_id(snapshot)
    found, pairs = external_summaries(snapshot, run_id), external_comparisons(snapshot, run_id)
    if not found:
        reasons = [item.reason for item in (*failures(snapshot, run_id), *declined(snapshot, run_id))]
        raise ValueError(f"the model could not be tested on this study: {reasons[-1] if reasons else 'no outcome'}")
    if to is not None:
        write_export(export_table(other, "external_prediction", run_id), to)
    if as_json:
        rows = {"arms": found, "comparisons": pairs}
        typer.echo(json.dumps({name: [dataclasses.asdict(row) for row in part] for name, part in rows.items()}))
        return
    typer.echo(external_answer(found).replace("**", ""))
    for row in found:
        typer.echo(f"{row.model:24s} AUC {row.auc:.3f} ({row.auc_lo:.3f} to {row.auc_hi:.3f}), n = {row.n}")
