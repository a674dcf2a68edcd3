"""Commands about one study: make, check, run, watch, export."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from engine.acquire.check import check as check_study
from engine.acquire.check import check_lines, with_refusal
from engine.acquire.new import new_image_study, new_table_study
from engine.commands.arguments import AsJson, Backend, Directory, Scheduler, backend_of, report_building
from engine.phantom.demo import build_demo
from engine.present.wording.self_test import self_test_answer
from engine.present.wording.strategies import training_line
from engine.protocol import PROTOCOL_FILE, read_protocol
from engine.run.intake import record_simulated_verdicts
from engine.run.launch import cancel as cancel_run
from engine.run.launch import launch
from engine.run.other_masks import MaskSource
from engine.run.paperwork import retention_note
from engine.run.plan_lock import lock_plan
from engine.run.runner import RunResult, run, run_lock, run_with_masks, self_test
from engine.run.selection_register import check_known_list
from engine.run.signature import signature_text, take_signature, use_signature
from engine.run.spread import spread
from store.export import export_table, write_export
from store.layout import StudyFolder
from store.ledger import read_progress, running
from store.publisher import rebuild
from store.queries.prognosis import self_test as self_test_results
from store.snapshot import open_snapshot
from store.training_progress import read_training
from store.verification import forget_damaged, verify

study_app = typer.Typer(no_args_is_help=True)


@study_app.command()
def demo(
    directory: Directory,
    cases: Annotated[int, typer.Option(help="number of synthetic patients")] = 153,
    seed: Annotated[int, typer.Option(help="the cohort is a function of this seed")] = 20250617,
    start: Annotated[bool, typer.Option("--run/--no-run", help="run the study when it is built")] = False,
) -> None:
    """Make the synthetic cohort with planted truths, its study.toml and clinical.csv."""
    refuse_foreign_study(directory)
    with run_lock(StudyFolder(directory.resolve())):
        if not (directory / "truth.json").exists():
            build_demo(directory, cases, seed, report_building, spread)
        record_simulated_verdicts(directory)
    if start:
        run(directory)


def refuse_foreign_study(directory: Path) -> None:
    """Raise ValueError when a folder holds a study that is not the synthetic demo: it would be overwritten."""
    if (directory / PROTOCOL_FILE).exists() and not read_protocol(directory).study.synthetic:
        raise ValueError("this folder holds a study that is not the demo; name another folder")


@study_app.command()
def new(
    directory: Directory,
    images: Annotated[Path | None, typer.Option(help="folder of DICOM or NIfTI images; nothing is copied")] = None,
    reference: Annotated[list[str] | None, typer.Option(help="ROI, segment or file stem of the tumour")] = None,
    lungs: Annotated[str, typer.Option(help="pattern of outlined lungs")] = "",
    clinical: Annotated[list[Path] | None, typer.Option(help="clinical CSV, may be repeated")] = None,
    features: Annotated[
        Path | None, typer.Option(help="CSV of features somebody extracted: a table-only study")
    ] = None,
    signature: Annotated[
        Path | None, typer.Option(help="JSON of `signature`: only its features enter; refused on its own patients")
    ] = None,
) -> None:
    """Start a study: study.toml with every default written out and explained."""
    if (images is None) == (features is None):
        raise typer.BadParameter("give either --images ROOT or --features CSV")
    if images is not None:
        new_image_study(directory, images, tuple(reference or ()), lungs, tuple(clinical or ()))
    elif features is not None:
        new_table_study(directory, features, tuple(clinical or ()))
    if signature is not None:
        use_signature(directory, signature)
    typer.echo(f"wrote {directory / 'study.toml'}; read it, then `python -m engine check {directory}`")


@study_app.command()
def check(directory: Directory, as_json: AsJson = False) -> None:
    """Run the gate on every case: accepted, refused with reason and remedy, flagged."""
    result = check_study(directory)
    if (derived := check_known_list(directory)) is not None:
        result = with_refusal(result, derived)
    if as_json:
        typer.echo(json.dumps(dataclasses.asdict(result)))
    else:
        typer.echo("\n".join([*check_lines(result), *retention_lines(directory)]))
    if not result.accepted:
        raise typer.Exit(1)


def retention_lines(directory: Path) -> list[str]:
    """What is to be said today of the date of deletion."""
    note = retention_note(read_protocol(directory).governance, datetime.now(UTC).date().isoformat())
    return [note] if note else []


@study_app.command("run")
def run_command(
    directory: Directory,
    until: Annotated[str, typer.Option(help="last stage or phase: acquire, segment, measure, ...")] = "",
    backend: Backend = "",
    scheduler: Scheduler = "",
    masks: Annotated[
        MaskSource | None, typer.Option(help="repeat the analysis on these masks; shown beside the study's own")
    ] = None,
) -> None:
    """Bring every stage up to date; recompute only what changed."""
    if masks is None:
        result = run(directory, until, backend_of(backend, scheduler))
    elif until:
        raise typer.BadParameter("--masks goes to prognosis; leave --until out")
    else:
        result = run_with_masks(directory, masks, backend_of(backend, scheduler))
    typer.echo("\n".join(run_lines(result)))


def run_lines(result: RunResult) -> list[str]:
    """How a run ended, then every reason for which something was declined in it, with the stages that it hit."""
    count = sum(left_out.tasks for left_out in result.declined)
    stages: dict[str, list[str]] = {}
    for left_out in result.declined:
        times = f" ({left_out.tasks} tasks)" if left_out.tasks > 1 else ""
        stages.setdefault(left_out.reason, []).append(f"{left_out.stage}{times}")
    lines = [f"{result.run_id}: {result.failures} failed, {result.refusals} refused, {count} declined"]
    return lines + [f"  {', '.join(names)}: {reason}" for reason, names in stages.items()]


@study_app.command("start")
def start_command(directory: Directory) -> None:
    """Start a run that goes on when this terminal closes."""
    launch(directory)


@study_app.command()
def status(directory: Directory, as_json: AsJson = False) -> None:
    """How far the latest run is."""
    stages = read_progress(directory)
    if as_json:
        rows = [
            {"stage": s.stage, "done": s.done, "failed": s.failed, "total": s.total, "seconds": s.seconds}
            for s in stages
        ]
        typer.echo(json.dumps({"running": running(directory), "stages": rows}))
        return
    for s in stages:
        left = "" if not s.remaining_seconds else f", about {s.remaining_seconds:.0f} s left"
        typer.echo(f"{s.stage:20s} {s.done:5d} done {s.failed:4d} failed of {s.total}{left} {s.note}")
    for training in read_training(directory):
        typer.echo(f"  {training_line(training).replace('**', '')}, {training.state}")


@study_app.command()
def cancel(directory: Directory) -> None:
    """Stop the run of a study; what is recorded stays."""
    typer.echo("cancelled" if cancel_run(directory) else "no run is going on")


@study_app.command("verify")
def verify_command(
    directory: Directory,
    as_json: AsJson = False,
    repair: Annotated[bool, typer.Option("--repair", help="forget damaged results: `run` computes them again")] = False,
) -> None:
    """Re-hash every artifact and compare ledger and disk."""
    found = verify(directory)
    if repair and (found.missing or found.damaged):
        with run_lock(StudyFolder(directory.resolve())):
            forget_damaged(directory)
        typer.echo("forgotten; `run` computes them again")
        return
    if as_json:
        typer.echo(json.dumps({**dataclasses.asdict(found), "clean": found.clean}))
    else:
        problems = [f"missing {m}" for m in found.missing] + [f"damaged {d}" for d in found.damaged]
        problems += [f"not in the ledger: {o}" for o in found.orphans]
        typer.echo("\n".join([f"{found.artifacts} artifacts", *problems, "clean" if found.clean else "NOT CLEAN"]))
    if not found.clean:
        raise typer.Exit(1)


@study_app.command("rebuild")
def rebuild_command(directory: Directory) -> None:
    """Make the DuckDB snapshot anew from ledger and artifacts."""
    typer.echo(f"published {rebuild(directory).generation}")


@study_app.command("lock-plan")
def lock_plan_command(directory: Directory) -> None:
    """Freeze the analysis plan; a later change of a choice is refused until the plan is locked again."""
    plan = lock_plan(directory, "command line")
    typer.echo(f"locked at {plan.locked_at}: {plan.protocol_sha256}; `run` brings p values up to date")


@study_app.command()
def export(
    directory: Directory,
    table: Annotated[str, typer.Argument(help="cases overlap morphology location features icc selection ...")],
    to: Annotated[Path | None, typer.Option(help=".csv or .parquet file")] = None,
    run_id: Annotated[str, typer.Option("--run", help="a run; default the latest that went to the end")] = "",
    columns: Annotated[bool, typer.Option("--columns", help="only list the table's columns")] = False,
) -> None:
    """Write one table of a run."""
    found = export_table(directory, table, run_id)
    if columns:
        typer.echo("\n".join(found.column_names))
    elif to is None:
        raise typer.BadParameter("give --to FILE.csv or FILE.parquet")
    else:
        write_export(found, to)
        typer.echo(f"{found.num_rows} rows to {to.name}")


@study_app.command("signature")
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


@study_app.command("self-test")
def self_test_command(directory: Directory, as_json: AsJson = False) -> None:
    """Permute the outcomes and run the whole selection and comparison: every AUC must be 0.5 on average."""
    self_test(directory)
    found = self_test_results(open_snapshot(directory))
    if as_json:
        typer.echo(json.dumps({"rows": [dataclasses.asdict(row) for row in found]}))
    else:
        typer.echo(self_test_answer(found).replace("**", ""))
