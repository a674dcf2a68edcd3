"""Sentences about runs: what one would compute and why, how the last one ended, what differs between two."""

from __future__ import annotations

from collections.abc import Sequence

from engine.present.numbers import counted, duration
from engine.present.wording.home import Headline
from engine.present.wording.review import about
from engine.processes import Gpu
from store.foresight import Foreseen, ForeseenStage

MOST_NAMED = 3


def foreseen_answer(found: Foreseen) -> str:
    """What a run started now would compute, how long that took before, and what it would need on disk."""
    retried = sum(stage.retried for stage in found.stages)
    again = f" {counted(retried, 'task')} that failed would be tried again." if retried else ""
    if not found.tasks:
        return f"**Nothing to compute**: every result stands on the present choices, masks and verdicts.{again}"
    size = sum(stage.megabytes or 0.0 for stage in found.stages)
    disk = f", about {size:.0f} MB of results" if size >= 1 else ""
    parts = [f"{found.of_cases} in {counted(len(found.cases), 'case')}"] if found.cases else []
    parts += [f"{found.of_cohort} of the cohort"] if found.of_cohort else []
    return (
        f"**{counted(len(found.tasks), 'task')}** would be computed, {', '.join(parts)}; {about(found.seconds)}{disk}."
        f"{again}"
    )


def stage_reason(stage: ForeseenStage) -> str:
    """Why a stage would be computed, in the order of its causes."""
    parts = [f"{', '.join(stage.changed)} changed"] if stage.changed else []
    if stage.new:
        parts.append("not computed yet" if stage.new == stage.tasks else f"{stage.new} not computed yet")
    if stage.left:
        parts.append(f"{stage.left} left by a run that was stopped")
    if stage.follows:
        more = len(stage.follows) - MOST_NAMED
        named = ", ".join(name.replace("_", " ") for name in stage.follows[:MOST_NAMED])
        parts.append(f"follows {named}{f' and {more} more' if more > 0 else ''}")
    if stage.tasks and not parts:
        parts.append("other masks, verdicts, files or method than before")
    if stage.retried:
        parts.append(f"{stage.retried} failed and would be tried again")
    return "; ".join(parts)


def foreseen_rows(stages: Sequence[ForeseenStage]) -> list[dict[str, object]]:
    """One row a stage for the table of the page Runs."""
    return [
        {
            "Stage": stage.stage.replace("_", " "),
            "Tasks": stage.tasks,
            "Cases": str(stage.cases or "–"),
            "Takes": duration(stage.seconds) if stage.seconds is not None else "not known yet",
            "MB": "–" if stage.megabytes is None else f"{stage.megabytes:.1f}",
            "Why": stage_reason(stage),
        }
        for stage in stages
    ]


def unfinished_sentence(state: str, done: int, total: int) -> str:
    """How a run that did not come to its end is left, and that going on computes nothing twice."""
    how = "was cancelled" if state == "cancelled" else "stopped before its end"
    return f"**The last run {how}**: {done} of {counted(total, 'task')} done. Going on computes nothing twice."


def side_by_side(first: Sequence[Headline], second: Sequence[Headline], names: tuple[str, str]) -> list[dict[str, str]]:
    """One row a headline figure that either run has, each with what stands beside it."""
    each = [{line.name: f"{line.value} ({line.beside})" for line in lines} for lines in (first, second)]
    return [
        {"Figure": name, **{run: lines.get(name, "–") for run, lines in zip(names, each, strict=True)}}
        for name in dict.fromkeys(name for lines in each for name in lines)
    ]


def gpu_line(gpu: Gpu) -> str:
    """How busy a GPU is, beside the line on the machine."""
    busy = "" if gpu.busy_percent is None else f"{gpu.busy_percent:.0f} % busy, "
    return f"{gpu.name}: {busy}{gpu.used_gb:.1f} of {gpu.size_gb:.1f} GB in use."
