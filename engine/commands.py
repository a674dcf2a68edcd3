"""Commands of the command line; each only reads arguments, calls one function and says what came of it.

Exit 0 done, 1 refused or could not finish, 2 usage. With --json one JSON object is all that stdout holds.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import sys
from pathlib import Path
from typing import Annotated

import typer

from engine.acquire.check import check as check_study
from engine.acquire.check import check_lines, with_refusal
from engine.acquire.new import new_image_study, new_table_study
from engine.bench.agreement import agreement_lines, bench_agreement, write_deviations
from engine.bench.conformance import conformity_counts
from engine.bench.extraction import bench_extraction
from engine.bench.overlap import bench_overlap, overlap_lines
from engine.bench.phantoms import bench_phantoms, phantom_lines
from engine.bench.reference_files import shared_folder
from engine.bench.scaling import PARTS, bench_scaling, scaling_lines
from engine.bench.scaling_figure import draw_scaling
from engine.bench.segmentation import bench_segmentation
from engine.bench.study_conformance import IBSI_FEATURES, conform_all
from engine.custody_commands import add_gate_benches, custody_app
from engine.icc_commands import bench_icc_command
from engine.kernels import compile_kernels
from engine.phantom.demo import build_demo
from engine.phantom.strategy_demo import build_strategy_demo
from engine.phantom.training_set import training_cases
from engine.present.wording.strategies import training_line
from engine.protocol import PROTOCOL_FILE, Features, read_protocol
from engine.run.intake import record_simulated_verdicts
from engine.run.launch import cancel as cancel_run
from engine.run.launch import launch
from engine.run.one_mask import as_csv, extract_one
from engine.run.one_overlap import overlap_of_files, overlap_text
from engine.run.plan_lock import lock_plan
from engine.run.runner import CancelledRunError, RunResult, run, run_lock, train
from engine.run.selection_register import check_known_list
from engine.run.signature import use_signature
from engine.run.spread import spread
from engine.run.task import reason_of
from engine.run.trained_models import register_trained
from engine.segment.checkpoint import import_model
from engine.segment.folds import join_folds
from engine.segment.model import Axes, find_model, list_models
from engine.segment.strategies.presets import PRESETS
from engine.segment.strategies.registry import STRATEGIES, strategy_of
from engine.segment.training import DEMO_RECIPE, DEMO_START, TrainingCase, recipe_of, train_demo_model
from engine.selection_commands import bench_selection_command, self_test_command, signature_command, stats_app
from engine.training_protocol import Strategies
from store.export import export_table, write_export
from store.layout import StudyFolder
from store.ledger import read_progress, running
from store.publisher import DamagedArtifactError, rebuild
from store.snapshot import NoSnapshotError
from store.training_progress import read_training
from store.verification import forget_damaged, verify

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
model_app = typer.Typer(no_args_is_help=True, help="Registered segmentation models, named by their sha256.")
app.add_typer(model_app, name="model")
bench_app = typer.Typer(no_args_is_help=True, help="Measured against other software on this machine, in one run.")
app.add_typer(bench_app, name="bench")
app.add_typer(custody_app)
add_gate_benches(bench_app)
bench_app.command("icc")(bench_icc_command)
app.add_typer(stats_app, name="stats")
app.command("signature")(signature_command)
app.command("self-test")(self_test_command)
bench_app.command("selection")(bench_selection_command)

Directory = Annotated[Path, typer.Argument(help="the study folder")]
AsJson = Annotated[bool, typer.Option("--json", help="one JSON object on stdout")]


def main() -> None:
    """Run the command line; a broken law is one sentence on stderr and exit 1."""
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    try:
        app()
    except (ValueError, RuntimeError, NoSnapshotError, DamagedArtifactError) as error:
        typer.echo(f"error: {error}", err=True)
        raise SystemExit(1) from None
    except OSError as error:
        typer.echo(f"error: {reason_of(error)}", err=True)
        raise SystemExit(1) from None
    except CancelledRunError as error:
        typer.echo(str(error), err=True)
        raise SystemExit(1) from None


@app.command()
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
            build_demo(directory, cases, seed, _report_building, spread)
        record_simulated_verdicts(directory)
    if start:
        run(directory)


def refuse_foreign_study(directory: Path) -> None:
    """Raise ValueError when a folder holds a study that is not the synthetic demo: it would be overwritten."""
    if (directory / PROTOCOL_FILE).exists() and not read_protocol(directory).study.synthetic:
        raise ValueError("this folder holds a study that is not the demo; name another folder")


def _report_building(done: int, total: int) -> None:
    if done % 10 == 0 or done == total:
        logging.getLogger("cohortscope").info("%d of %d phantoms", done, total)


@app.command()
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


@app.command()
def check(directory: Directory, as_json: AsJson = False) -> None:
    """Run the gate on every case: accepted, refused with reason and remedy, flagged."""
    result = check_study(directory)
    if (derived := check_known_list(directory)) is not None:
        result = with_refusal(result, derived)
    if as_json:
        typer.echo(json.dumps(dataclasses.asdict(result)))
    else:
        typer.echo("\n".join(check_lines(result)))
    if not result.accepted:
        raise typer.Exit(1)


@app.command("run")
def run_command(
    directory: Directory,
    until: Annotated[str, typer.Option(help="last stage or phase: acquire, segment, measure, ...")] = "",
    backend: Annotated[str, typer.Option(help="local: a process per core; inline: this process")] = "local",
) -> None:
    """Bring every stage up to date; recompute only what changed."""
    result = run(directory, until, backend)
    typer.echo("\n".join(run_lines(result)))


@app.command("start")
def start_command(directory: Directory) -> None:
    """Start a run that goes on when this terminal closes."""
    launch(directory)


@app.command()
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


@app.command()
def cancel(directory: Directory) -> None:
    """Stop the run of a study; what is recorded stays."""
    typer.echo("cancelled" if cancel_run(directory) else "no run is going on")


@app.command("verify")
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


@app.command("rebuild")
def rebuild_command(directory: Directory) -> None:
    """Make the DuckDB snapshot anew from ledger and artifacts."""
    typer.echo(f"published {rebuild(directory).generation}")


@app.command("lock-plan")
def lock_plan_command(directory: Directory) -> None:
    """Freeze the analysis plan; a later change of a choice is refused until the plan is locked again."""
    plan = lock_plan(directory, "command line")
    typer.echo(f"locked at {plan.locked_at}: {plan.protocol_sha256}; `run` brings p values up to date")


@app.command()
def export(
    directory: Directory,
    table: Annotated[str, typer.Argument(help="cases overlap morphology location features icc selection ...")],
    to: Annotated[Path | None, typer.Option(help=".csv or .parquet file")] = None,
    run_id: Annotated[str, typer.Option("--run", help="a run; default the latest finished")] = "",
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


@model_app.command("list")
def model_list() -> None:
    """Registered models with their hashes."""
    for model in list_models():
        typer.echo(f"{model.sha256[:12]}  {model.name}")


@model_app.command("import")
def model_import(
    path: Annotated[Path, typer.Argument(help="an nnU-Net checkpoint (.pth), results folder, or zip of one")],
    fold: Annotated[str | None, typer.Option(help="0 to 4 or all, of a results folder; default the first")] = None,
    axes: Annotated[
        Axes | None, typer.Option(help="where x, y, z of its training images ran to; default as its reader says")
    ] = None,
) -> None:
    """Load a model safely, keep its weights only, register it by sha256."""
    model = import_model(path, fold, axes)
    typer.echo(f"{model.sha256}  {model.name}")


@app.command("train")
def train_command(
    directory: Directory,
    strategy: Annotated[
        list[str] | None, typer.Option(help="a strategy, repeatable; all; default study.toml's")
    ] = None,
    preset: Annotated[str, typer.Option(help="sizes: toy or 3d_fullres; default study.toml's")] = "",
    seeds: Annotated[str, typer.Option(help="seeds as 1,2,3; default study.toml's")] = "",
    demo: Annotated[bool, typer.Option("--demo", help="make the synthetic study first, if it is not there")] = False,
    backend: Annotated[str, typer.Option(help="local: a process per core; inline: this process")] = "local",
) -> None:
    """Train nnU-Net by one or more strategies and compare them on cases that no training saw."""
    if preset and preset not in PRESETS:
        raise typer.BadParameter(f"--preset takes one of {', '.join(PRESETS)}, got {preset!r}")
    if demo and not (directory / PROTOCOL_FILE).exists():
        build_strategy_demo(directory, PRESETS[preset or "toy"], _report_building)
    chosen = chosen_strategies(read_protocol(directory).strategies, tuple(strategy or ()), seeds)
    result = train(directory, chosen, PRESETS[preset] if preset and not demo else None, backend)
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


def chosen_strategies(declared: Strategies, names: tuple[str, ...], seeds: str) -> Strategies:
    """The study's own choice with what the command line names instead; ValueError for an unknown strategy."""
    wanted = names or declared.names or ("all",)
    every = tuple(one.name for one in STRATEGIES)
    picked = every if "all" in wanted else tuple(strategy_of(name).name for name in wanted)
    numbers = [int(part) for part in seeds.split(",")] if seeds else declared.seeds
    return Strategies.model_validate({"names": picked, "seeds": numbers, "parallel": declared.parallel})


@model_app.command("register")
def model_register(
    directory: Directory,
    strategy: Annotated[str, typer.Option(help="whose models of the latest training")] = "anatomy-pretraining",
    seed: Annotated[int, typer.Option(help="which training")] = 1,
) -> None:
    """Register the models that a study trained, every fold with the list of images that it saw."""
    for model in register_trained(directory, strategy, seed):
        typer.echo(f"{model.sha256}  {model.name}")


@model_app.command("join")
def model_join(
    name: Annotated[str, typer.Argument(help="of the averaged model")],
    models: Annotated[
        list[str], typer.Argument(help="names or sha256 of registered models that differ in weights only")
    ],
) -> None:
    """Register folds of one training as one model whose predictions are averaged."""
    model = join_folds(name, tuple(find_model(one) for one in models))
    typer.echo(f"{model.sha256}  {model.name}")


@model_app.command("train-demo")
def model_train_demo(
    to: Annotated[Path, typer.Option(help="folder that demo.pt and demo.json are written to")],
    iterations: Annotated[int, typer.Option(min=1, help="updates of the weights")] = DEMO_RECIPE.iterations,
    from_scratch: Annotated[bool, typer.Option(help="draw the first weights, not the shipped start")] = False,
) -> None:
    """Train a demo model on synthetic chest CTs: about two hours of one core."""
    cases = (TrainingCase(*case) for case in training_cases())  # one at a time: whole cases are large
    origin = "synthetic chest CTs of engine/phantom (engine/phantom/training_set.py)"
    start = None if from_scratch else DEMO_START
    model = train_demo_model(cases, to, "demo", origin, recipe_of(iterations), start)
    typer.echo(f"{model.sha256}  {model.name}")


@app.command()
def extract(
    image: Annotated[Path, typer.Argument(help="NIfTI or NRRD file, or a folder with one DICOM CT series")],
    mask: Annotated[Path, typer.Argument(help="NIfTI or NRRD file on the image's grid")],
    label: Annotated[int, typer.Option(help="value of the mask's voxels")] = 1,
    recipe: Annotated[str, typer.Option(help="a recipe of engine/metrics/recipes")] = "paper-1967",
    to: Annotated[Path | None, typer.Option(help=".csv file; default stdout")] = None,
) -> None:
    """Features of one mask, no study: columns image_type, feature_class, feature, value, status."""
    text = as_csv(extract_one(image, mask, label, Features.model_validate({"recipe": recipe})))
    if to is None:
        typer.echo(text, nl=False)
    else:
        to.write_text(text, encoding="utf-8")
        typer.echo(f"{text.count(chr(10)) - 1} features to {to.name}")


@app.command("overlap")
def overlap_command(
    reference: Annotated[Path, typer.Argument(help="NIfTI or NRRD mask")],
    prediction: Annotated[Path, typer.Argument(help="NIfTI or NRRD mask on the same grid")],
    tolerance_mm: Annotated[float, typer.Option(help="of the surface DSC, mm")] = 2.0,
    label: Annotated[int | None, typer.Option(help="value of the masks' voxels; default the only one")] = None,
    as_json: AsJson = False,
) -> None:
    """DSC, surface DSC, distances and detection of one mask against another, no study."""
    found = overlap_of_files(reference, prediction, tolerance_mm, label)
    typer.echo(json.dumps(found) if as_json else overlap_text(found))


@app.command("compile")
def compile_command() -> None:
    """Compile the numba kernels now, not in the first run; `make setup` does it."""
    compile_kernels()


@app.command()
def conform(
    directory: Annotated[Path | None, typer.Argument(help="a study folder: its settings; default IBSI's own")] = None,
    as_json: AsJson = False,
) -> None:
    """Our features and filters against IBSI's reference values, computed live (IBSI's data needed)."""
    features = read_protocol(directory).features if directory is not None else IBSI_FEATURES
    rows = conform_all(shared_folder(), features)
    if as_json:
        typer.echo(json.dumps({"rows": [dataclasses.asdict(row) for row in rows], "summary": conformity_counts(rows)}))
        return
    for row in rows:
        if row.verdict == "not met":
            typer.echo(
                f"{row.configuration:12s} {row.tag:28s} {row.value:12.6g} {row.reference:12.6g} ± {row.tolerance:g}"
            )
    for name, counts in conformity_counts(rows).items():
        typer.echo(f"{name:12s} " + ", ".join(f"{count} {verdict}" for verdict, count in counts.items()))


@bench_app.command("extraction")
def bench_extraction_command(
    quick: Annotated[bool, typer.Option("--quick", help="one ROI of 33 ml and 5 masks")] = False,
    as_json: AsJson = False,
) -> None:
    """The engine against PyRadiomics 3.0.1: CPU time, peak memory, values (shared data needed)."""
    found = bench_extraction(shared_folder(), quick)
    if as_json:
        typer.echo(json.dumps(dataclasses.asdict(found)))
        return
    typer.echo(f"{found.ratio:.1f} times less CPU time, {found.memory_ratio:.1f} times less memory")
    typer.echo(f"{100 * found.agreement.share:.2f} % of {found.agreement.compared} values agree; {found.note}")


@bench_app.command("overlap")
def bench_overlap_command(
    quick: Annotated[bool, typer.Option("--quick", help="a series of 256 x 256 x 120 voxels")] = False,
    as_json: AsJson = False,
) -> None:
    """Surface DSC against MONAI's use_subvoxels, and both against closed forms (installs .venv-peers once)."""
    found = bench_overlap(quick)
    typer.echo(json.dumps(dataclasses.asdict(found)) if as_json else "\n".join(overlap_lines(found)))


@bench_app.command("segmentation")
def bench_segmentation_command(
    quick: Annotated[bool, typer.Option("--quick", help="a series of 160 x 160 x 96 voxels, once")] = False,
    device: Annotated[str, typer.Option(help="cpu, or cuda where there is one")] = "cpu",
    network: Annotated[str, typer.Option(help="demo, or medium: a larger one with random weights")] = "demo",
    threads: Annotated[int, typer.Option(min=1, help="of each side")] = 1,
    as_json: AsJson = False,
) -> None:
    """Our inference against nnU-Net's own predictor, image file to mask file (shared data needed)."""
    found = bench_segmentation(shared_folder(), quick, device, network, threads)
    if as_json:
        typer.echo(json.dumps(dataclasses.asdict(found)))
        return
    typer.echo(
        f"{found.ratio:.1f} times less CPU time, {found.wall_ratio:.1f} times faster, {found.memory_ratio:.1f} times "
        f"less memory, lowest DSC to the peer {found.lowest_dsc}; {found.hardware}, {found.threads} thread(s)"
    )
    for side in found.sides:
        cpu = ", ".join(f"{seconds:.1f}" for seconds in side.cpu_seconds)
        typer.echo(f"{side.name:13s} CPU {cpu} s, peak {side.peak_mb:.0f} MB, DSC {side.dsc}")
    typer.echo(found.note)


@bench_app.command("phantoms")
def bench_phantoms_command(
    model: Annotated[str, typer.Option(help="name or sha256 of a registered model")] = "demo",
    count: Annotated[int, typer.Option(min=1, help="phantoms, about three seconds each")] = 100,
    first: Annotated[int, typer.Option(min=0, help="number of the first; no training sees any of them")] = 0,
    as_json: AsJson = False,
) -> None:
    """A model on synthetic chests that no training saw: tumours found, DSC of the found, lungs."""
    found = bench_phantoms(find_model(model), count, first, _report_building)
    typer.echo(json.dumps(dataclasses.asdict(found)) if as_json else "\n".join(phantom_lines(found)))


@bench_app.command("agreement")
def bench_agreement_command(
    case: Annotated[list[str] | None, typer.Option(help="LUNG1-001, IBSI-CT, STS_001, ...; default all 14")] = None,
    to: Annotated[Path | None, typer.Option(help=".csv file of every value outside the tolerance")] = None,
    keep: Annotated[Path | None, typer.Option(help="folder where PyRadiomics' vectors stay for the next run")] = None,
    as_json: AsJson = False,
) -> None:
    """Every value against PyRadiomics 3.0.1 on real patients, with causes (shared data, half an hour of CPU)."""
    found = bench_agreement(shared_folder(), tuple(case or ()), keep)
    if to is not None:
        write_deviations(found, to)
    typer.echo(json.dumps(dataclasses.asdict(found)) if as_json else "\n".join(agreement_lines(found)))


@bench_app.command("scaling")
def bench_scaling_command(
    part: Annotated[list[str] | None, typer.Option(help=f"of {', '.join(PARTS)}; default all")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="few small points")] = False,
    figure: Annotated[Path | None, typer.Option(help=".png file of CPU seconds against voxels and masks")] = None,
    as_json: AsJson = False,
) -> None:
    """CPU time and memory against masks, cases, voxels and processes (shared data needed, a quarter hour of CPU)."""
    found = bench_scaling(shared_folder(), tuple(part or PARTS), quick)
    if figure is not None:
        draw_scaling(found.points, figure)
    typer.echo(json.dumps(dataclasses.asdict(found)) if as_json else "\n".join(scaling_lines(found)))
