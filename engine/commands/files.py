"""Commands about single files, without a study."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Annotated

import typer

from engine.bench.conformance import conformity_counts
from engine.bench.reference_files import shared_folder
from engine.bench.study_conformance import IBSI_FEATURES, conform_all
from engine.commands.arguments import AsJson
from engine.kernels import compile_kernels
from engine.protocol import Features, read_protocol
from engine.run.one_mask import as_csv, extract_one
from engine.run.one_overlap import overlap_of_files, overlap_text

file_app = typer.Typer(no_args_is_help=True)


@file_app.command()
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


@file_app.command("overlap")
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


@file_app.command("compile")
def compile_command() -> None:
    """Compile the numba kernels now, not in the first run; `make setup` does it."""
    compile_kernels()


@file_app.command()
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
