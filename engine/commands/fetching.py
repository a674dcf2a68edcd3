"""Public cohorts of the Imaging Data Commons: what there is, what it weighs, on what terms, and fetching it."""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from engine.acquire.public_cohort import ADDRESS, Wanted, wanted_series
from engine.commands.arguments import AsJson
from engine.run.fetching import FetchedCohort, citation_text, fetch_cohort
from store.public_index import PublicCollection, public_collections

fetch_app = typer.Typer(no_args_is_help=True)


@fetch_app.command()
def fetch(  # noqa: PLR0913 - a command's signature is its help
    collection: Annotated[str, typer.Argument(help="such as nsclc_radiomics; without it: all that hold CT")] = "",
    patients: Annotated[int, typer.Option(min=0, help="the first so many, by id; 0: all")] = 0,
    to: Annotated[Path | None, typer.Option(help="folder; a second call fetches what is missing there")] = None,
    annotations: Annotated[
        list[str] | None, typer.Option(help="others' outlines too, by name, may be repeated")
    ] = None,
    images_only: Annotated[bool, typer.Option("--images-only", help="CT without outlines")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="say what would come, and ask no network")] = False,
    address: Annotated[str, typer.Option(help="of a mirror, with {bucket} in it")] = ADDRESS,
    as_json: AsJson = False,
) -> None:
    """Fetch a public cohort through the Imaging Data Commons, with licences and what to cite."""
    if not collection:
        found = public_collections()
        told = [json.dumps(dataclasses.asdict(row)) for row in found] if as_json else list(collection_lines(found))
        typer.echo("\n".join(told))
        return
    wanted = wanted_series(collection, patients, tuple(annotations or ()), images_only=images_only)
    if dry_run or to is None:
        typer.echo(json.dumps(_facts(wanted)) if as_json else wanted_text(wanted))
        if not dry_run:
            raise typer.BadParameter("--to FOLDER says where it goes; --dry-run only looks")
        return
    done = fetch_cohort(wanted, to, report_fetching, address)
    typer.echo(json.dumps(dataclasses.asdict(done)) if as_json else done_text(done, to))
    if done.failures:
        raise typer.Exit(1)


def report_fetching(had: float, of_all: float, seconds: float) -> None:
    """Log how far the fetching is."""
    logging.getLogger("cohortscope").info("%.0f of %.0f MB, about %.0f min left", had, of_all, seconds / 60)


def collection_lines(found: tuple[PublicCollection, ...]) -> Iterator[str]:
    """The collections as a table of text."""
    yield f"{'collection':34s} {'patients':>8s} {'CT':>6s} {'GB':>8s} {'outlines':>8s}  licence; others' outlines"
    for row in found:
        counts = f"{row.patients:8d} {row.ct_series:6d} {row.ct_gigabytes:8.1f} {row.outlines:8d}"
        yield f"{row.collection:34s} {counts}  {'; '.join((' / '.join(row.licences), *row.annotations))}"


def wanted_text(wanted: Wanted) -> str:
    """What would come: patients, series by modality, size, and the sources with their licences."""
    counts = {kind: sum(one.modality == kind for one in wanted.series) for kind in ("CT", "RTSTRUCT", "SEG")}
    series = ", ".join(f"{count} {kind}" for kind, count in counts.items() if count)
    files = sum(one.files for one in wanted.series)
    left = f"; {wanted.left_out} of the collection have not both in one study" if wanted.left_out else ""
    return (
        f"{wanted.patients} patients{left}\n{series} series, {files} files, {wanted.megabytes / 1000:.2f} GB\n\n"
        f"{citation_text(wanted)}"
    )


def done_text(done: FetchedCohort, to: Path) -> str:
    """What came of it and what to do next."""
    unhashed = f", {done.unhashed} of them without a hash to check (size only)" if done.unhashed else ""
    lines = [f"{done.fetched} files fetched{unhashed}, {done.present} were there; terms and sources: {to / 'CITE.md'}"]
    lines += [*done.failures[:10]]
    next_step = (
        f"fetch again to go on: {len(done.failures)} series are missing"
        if done.failures
        else f"next: new STUDY --images {to}"
    )
    return "\n".join((*lines, next_step))


def _facts(wanted: Wanted) -> dict[str, object]:
    sources = sorted({(one.collection, one.annotations, one.doi, one.licence) for one in wanted.series})
    return {
        "patients": wanted.patients,
        "left_out": wanted.left_out,
        "series": len(wanted.series),
        "files": sum(one.files for one in wanted.series),
        "megabytes": wanted.megabytes,
        "sources": [dict(zip(("collection", "annotations", "doi", "licence"), row, strict=True)) for row in sources],
    }
