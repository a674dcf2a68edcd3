"""Sentences about the study: who is in it, how far its runs are."""

from __future__ import annotations

import json
from collections.abc import Sequence

from engine.present.numbers import counted, duration
from store.ledger import StageProgress
from store.queries.cohort import CaseRow
from store.queries.study import RunFacts, StageCost, StandingMasks
from store.records import FlowStep

SHOWN_PACKAGES = ("numpy", "SimpleITK", "scikit-learn", "lifelines", "torch")
UNLOCKED = "The analysis plan is not locked: read estimates and intervals, not p values."
SEVERAL = " The best of several analyses is no result: name none, or have it chosen inside the resamples."


def packages_line(packages_json: str) -> str:
    """The versions that shape the numbers, of those recorded with a run."""
    versions: dict[str, str] = json.loads(packages_json or "{}")
    return ", ".join(f"{name} {versions[name]}" for name in SHOWN_PACKAGES if name in versions)


def exploratory_badge(run: RunFacts) -> str:
    """What an analysis of an unlocked plan must carry: which of how many it is; empty when the plan is locked."""
    if run.locked_at:
        return ""
    which = f"Analysis {run.analysis} of {run.analyses}. " if run.analysis else ""
    return f"{which}{UNLOCKED}{SEVERAL if run.analyses > 1 else ''}"


def run_state(run: RunFacts) -> str:
    """How a run ended, and up to which stage when it was not asked for all."""
    return f"{run.state}, until {run.until_stage}" if run.until_stage else run.state


def cohort_answer(cases: Sequence[CaseRow], run: RunFacts) -> str:
    """Who is in the study and what happened to them by the horizon."""
    known = [case for case in cases if case.label_reason is not None]
    head = f"**{counted(len(cases), 'case')}** in this run"
    if not known:
        if run.state == "running":
            return f"{head}; outcomes are not published yet."
        return f"{head}; no outcome is known, so prognosis is not analysed."
    events = sum(case.dfs_label is True for case in known)
    free = sum(case.dfs_label is False for case in known)
    return (
        f"{head}, {len(known)} with an outcome: **{events}** had an event within {run.horizon_days} days, "
        f"**{free}** are known to be free of one, and **{len(known) - events - free}** cannot be told (never "
        f"counted as free). Endpoint: {run.endpoint}."
    )


def flow_caption(steps: Sequence[FlowStep]) -> str:
    """What the flow shows."""
    top = next((step for step in steps if not step.parent), None)
    return "" if top is None else f"n = {top.n} at the top; events in brackets where they are known."


def run_answer(costs: Sequence[StageCost], failed: int, state: str) -> str:
    """How far a published run came."""
    done, total = sum(cost.done for cost in costs), sum(cost.tasks for cost in costs)
    seconds = sum(cost.seconds for cost in costs)
    lost = f"**{counted(failed, 'failure')}**" if failed else "no failure"
    return f"The run is **{state}**: {done} of {counted(total, 'task')} done, {lost}, {duration(seconds)} of computing."


def progress_line(progress: Sequence[StageProgress]) -> str:
    """Tasks done over all placed stages and the time that remains for those that can be estimated."""
    done = sum(stage.done for stage in progress)
    total = sum(stage.total for stage in progress)
    failed = sum(stage.failed for stage in progress)
    lost = f", {failed} failed" if failed else ""
    left = sum(stage.remaining_seconds or 0.0 for stage in progress if stage.done + stage.failed < stage.total)
    rest = f"; for the stages begun it takes {duration(left)}" if left else ""
    return f"{done} of {counted(total, 'task')} done{lost}{rest}."


def masks_line(masks: Sequence[StandingMasks]) -> str:
    """Which tumour masks a run stands on: "masks: 31 reference, 1 reviewed (corrected)"."""
    judged = ("reviewed", "adjudicated")
    parts = [f"{m.cases} {m.mask_source}" + (f" ({m.origin})" if m.mask_source in judged else "") for m in masks]
    return f"tumour masks: {', '.join(parts)}" if parts else ""
