"""The line that says what made a figure: study, run, generation, choices, masks, versions, seed."""

from __future__ import annotations

from engine.present.numbers import moment
from engine.present.wording.study import masks_line, packages_line
from store.queries.study import RunFacts, published_at, standing_masks
from store.snapshot import Snapshot


def provenance_line(snapshot: Snapshot, run: RunFacts) -> str:
    """One line, the same under every figure of a run."""
    masks = masks_line(standing_masks(snapshot, run.run_id))
    parts = (
        f"{run.study_name}, run {run.place} ({run.run_id})",
        f"{snapshot.generation.removesuffix('.duckdb')} of {moment(published_at(snapshot))}",
        f"protocol {run.protocol_sha256[:12]}",
        f"seed {run.seed}",
        masks,
        f"code {run.code_version}",
        packages_line(run.packages_json),
    )
    return " · ".join(part for part in parts if part)
