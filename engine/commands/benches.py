"""Commands that measure against other software on this machine, each in one run."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Annotated

import typer

from engine.bench.agreement import agreement_lines, bench_agreement, write_deviations
from engine.bench.extraction import bench_extraction
from engine.bench.icc import bench_icc
from engine.bench.malformed.comparison import compare_gate, gate_lines
from engine.bench.malformed.fuzz import READERS, fuzz
from engine.bench.overlap import bench_overlap, overlap_lines
from engine.bench.pages import bench_pages, page_lines
from engine.bench.phantoms import bench_phantoms, phantom_lines
from engine.bench.reference_files import shared_folder
from engine.bench.scaling import PARTS, bench_scaling, scaling_lines
from engine.bench.scaling_figure import draw_scaling
from engine.bench.segmentation import bench_segmentation
from engine.bench.selection import bench_selection, selection_lines
from engine.bench.soak import soak, soak_lines
from engine.bench.store_figure import draw_growth
from engine.bench.store_scale import CASES, VIEW_SECONDS, VIEWERS, bench_store, store_lines
from engine.commands.arguments import AsJson, Directory, report_building, report_kills
from engine.segment.model import find_model

bench_app = typer.Typer(no_args_is_help=True, help="Measured against other software on this machine, in one run.")


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
    found = bench_phantoms(find_model(model), count, first, report_building)
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


@bench_app.command("icc")
def bench_icc_command(as_json: AsJson = False) -> None:
    """Our ICC of 5901 features x 153 patients x 20 measurements against a loop with pingouin (installed once)."""
    found = bench_icc()
    if as_json:
        typer.echo(json.dumps(dataclasses.asdict(found)))
        return
    typer.echo(
        f"{found.ratio:.0f} times less CPU time; largest difference {found.largest_difference:.1e}; {found.note}"
    )


@bench_app.command("selection")
def bench_selection_command(
    bootstraps: Annotated[int, typer.Option(min=2)] = 500,
    trees: Annotated[int, typer.Option(min=10, help="of each forest")] = 100,
    peers: Annotated[int, typer.Option(min=1, help="bootstraps that the peer is timed on")] = 3,
    as_json: AsJson = False,
) -> None:
    """The whole selection of 153 x 5901 values against mrmr_selection and scikit-learn (installed on first use)."""
    found = bench_selection(bootstraps, trees, peers)
    typer.echo(json.dumps(dataclasses.asdict(found)) if as_json else "\n".join(selection_lines(found)))


@bench_app.command("gate")
def bench_gate(as_json: AsJson = False) -> None:
    """The malformed corpus through the gate, SimpleITK, PyRadiomics and rt-utils (first: makes .venv-peers)."""
    found = compare_gate()
    typer.echo(json.dumps([dataclasses.asdict(row) for row in found]) if as_json else "\n".join(gate_lines(found)))


@bench_app.command("fuzz")
def bench_fuzz(
    reader: Annotated[list[str] | None, typer.Option(help=f"of {', '.join(READERS)}; default all")] = None,
    minutes: Annotated[float, typer.Option(min=0.01, help="for each reader")] = 10.0,
    seed: Annotated[int, typer.Option(help="mutations are a function of it")] = 1,
) -> None:
    """Mutated files through the readers: no crash, no hang, no memory blow-up; what breaks one is kept as a seed."""
    for name in reader or READERS:
        found = fuzz(name, minutes * 60, seed)
        typer.echo(
            f"{name}: {found.tried} files in {found.seconds:.0f} s, {found.refused} refused, {found.crashes} crashes, "
            f"slowest {found.slowest_seconds:.2f} s, one file took at most {found.greediest_mb:.0f} MB, "
            f"{found.kept_mb:.0f} MB more held at the end"
        )
        if not found.sound:
            raise typer.Exit(1)


@bench_app.command("pages")
def bench_pages_command(directory: Directory, as_json: AsJson = False) -> None:
    """The heaviest page against an empty one in a local Chromium, and a box around points (a study with a run)."""
    found = bench_pages(directory)
    typer.echo(json.dumps(dataclasses.asdict(found)) if as_json else "\n".join(page_lines(found)))


@bench_app.command("store")
def bench_store_command(
    directory: Directory,
    cases: Annotated[list[int] | None, typer.Option(min=1, help="sizes; default 100, 1000, 10000")] = None,
    viewers: Annotated[int, typer.Option(min=1)] = VIEWERS,
    seconds: Annotated[float, typer.Option(min=1.0, help="of viewing")] = VIEW_SECONDS,
    folder: Annotated[Path | None, typer.Option(help="with 2.5 MB free a case; default the temporary one")] = None,
    picture: Annotated[Path | None, typer.Option(help="PNG of the growth")] = None,
    as_json: AsJson = False,
) -> None:
    """The store with up to 10,000 cases simulated from a finished run: ingest, size, queries, viewers beside it.

    Exit 1 when a viewer met an error or a row of the other study.
    """
    found = bench_store(directory, cases or CASES, viewers, seconds, folder, lambda text: typer.echo(text, err=True))
    if picture is not None:
        draw_growth(found, picture)
    typer.echo(json.dumps(dataclasses.asdict(found)) if as_json else "\n".join(store_lines(found)))
    if not found.viewing.sound:
        raise typer.Exit(1)


@bench_app.command("soak")
def bench_soak_command(
    kills: Annotated[int, typer.Option(min=1, help="processes to kill, about three seconds each")] = 1000,
    seed: Annotated[int, typer.Option(help="of moments, victims and studies")] = 1,
    as_json: AsJson = False,
) -> None:
    """kill -9 over runner, workers and publisher at random moments: nothing lost, nothing doubled; exit 1 if not."""
    found = soak(kills, seed, report_kills)
    if as_json:
        typer.echo(json.dumps({"kills": found.kills, "passed": found.passed, **dataclasses.asdict(found)}))
    else:
        typer.echo("\n".join(soak_lines(found)))
    if not found.passed:
        raise typer.Exit(1)
