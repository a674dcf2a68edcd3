"""The headline figures of a run, for the page Overview and for two runs side by side."""

from __future__ import annotations

from engine.present.wording.home import Headline, headlines
from store.queries.agreement import agreement_summary, mask_pairs
from store.queries.prognosis import comparisons, model_summaries, stability
from store.queries.reproducibility import DECIDING, Reading, survival_shares
from store.queries.study import RunFacts
from store.snapshot import Snapshot


def found_headlines(snapshot: Snapshot, run: RunFacts) -> list[Headline]:
    """The headline figures that a run has, each with its interval, n and page."""
    pair = next((p for p in mask_pairs(snapshot, run.run_id) if p.comparison == "agreement"), None)
    return headlines(
        agreement_summary(snapshot, run.run_id, pair) if pair is not None else None,
        survival_shares(snapshot, run.run_id, Reading(DECIDING, run.icc_threshold)),
        stability(snapshot, run.run_id),
        model_summaries(snapshot, run.run_id),
        comparisons(snapshot, run.run_id),
    )
