"""Sentences and rows about a run that is going on: what is left, how fast it goes, how far every case is."""

from __future__ import annotations

from collections.abc import Sequence

from engine.present.numbers import counted, duration
from store.ledger import StageProgress
from store.live import CaseProgress, FailedTask, Pace, TaskAtWork

ENOUGH_ENDED = 5  # fewer in the last minute say nothing about the next
MOST_CASES = 500
MOST_NAMED = 3
COMPUTING, FAILED, WAITING, DONE = "computing", "failed", "waiting", "done so far"


def stage_words(name: str) -> str:
    """A stage's name as pages write it."""
    return name.replace("_", " ")


def unit_words(unit: str) -> str:
    """What a task belongs to: a case, the cohort, a bootstrap or a training by its number or name."""
    if not unit:
        return "the cohort"
    return f"number {int(unit[1:])}" if unit[1:].isdigit() and unit.startswith("#") else unit.lstrip("#")


def seconds_left(stage: StageProgress, pace: Pace) -> float | None:
    """Seconds until a stage that was begun is done: at the pace of the last minute, else as its tasks took so far."""
    left = stage.total - stage.done - stage.failed
    ended = dict(pace.ended).get(stage.stage, 0)
    return left * pace.seconds / ended if left and ended >= ENOUGH_ENDED else stage.remaining_seconds


def live_line(progress: Sequence[StageProgress], pace: Pace) -> str:
    """Tasks done over all stages begun, the time that these still take, how many ended in the last minute."""
    done, total = sum(stage.done for stage in progress), sum(stage.total for stage in progress)
    failed = sum(stage.failed for stage in progress)
    lost = f", {failed} failed" if failed else ""
    open_stages = [stage for stage in progress if stage.done + stage.failed < stage.total]
    left = [seconds_left(stage, pace) for stage in open_stages]
    known = [seconds for seconds in left if seconds is not None]
    rest = f"; the stages begun take {duration(sum(known))} more" if known and len(known) == len(left) else ""
    return f"{done} of {counted(total, 'task')} done{lost}{rest}. {pace_line(pace)}"


def pace_line(pace: Pace) -> str:
    """How many tasks were computed lately, with the busiest stages."""
    since = "the last minute" if pace.seconds >= 59 else f"the {pace.seconds:.0f} s since the start"
    busiest = sorted(pace.ended, key=lambda item: -item[1])[:MOST_NAMED]
    named = ", ".join(f"{stage_words(stage)} {count}" for stage, count in busiest)
    return f"In {since} {counted(pace.tasks, 'task')} ended{f' ({named})' if named else ''}."


def to_come_line(seconds: float | None) -> str:
    """What the whole run still takes, stages to come included."""
    if seconds is None:
        return "Some of the stages to come were never run here, so nobody knows how long they take."
    return f"The whole run, with the stages to come: about {duration(seconds)} more, as such tasks took before."


def stage_line(stage: StageProgress, pace: Pace) -> str:
    """One stage beside its bar: done, failed, time left, tasks a minute."""
    ended = dict(pace.ended).get(stage.stage, 0)
    open_still = stage.done + stage.failed < stage.total
    parts = [f"**{stage_words(stage.stage)}** · {stage.done} of {stage.total}"]
    parts += [f"{stage.failed} failed"] if stage.failed else []
    parts += [duration(seconds_left(stage, pace)) if open_still else "done"]
    parts += [f"{ended * 60 / pace.seconds:.0f} a minute"] if open_still and ended else []
    return " · ".join(parts)


def case_state(case: CaseProgress) -> str:
    """In one word: computing, failed, waiting or done so far."""
    if case.at_work:
        return COMPUTING
    if case.failed:
        return FAILED
    return DONE if case.done == case.begun else WAITING


def case_rows(cases: Sequence[CaseProgress]) -> list[dict[str, object]]:
    """One row a case for the table of the page Runs, at most 500: first those at work, then the failed, the waiting."""
    order = {state: place for place, state in enumerate((COMPUTING, FAILED, WAITING, DONE))}
    ranked = sorted(cases, key=lambda case: (order[case_state(case)], case.case_id))
    return [
        {
            "Case": case.case_id,
            "State": case_state(case),
            "At": stage_words(case.at_work) or "–",
            "Stages done": case.done,
            "Begun": case.begun,
            "Failed": case.failed,
            "Seconds": round(case.seconds, 1),
        }
        for case in ranked[:MOST_CASES]
    ]


def cases_line(cases: Sequence[CaseProgress]) -> str:
    """How many cases are in which state, and how many of them the table shows."""
    states = [case_state(case) for case in cases]
    counts = ", ".join(f"{states.count(s)} {s}" for s in (COMPUTING, FAILED, WAITING, DONE) if s in states)
    shown = f" The table shows the first {MOST_CASES}." if len(cases) > MOST_CASES else ""
    return f"**{counted(len(cases), 'case')}**{f': {counts}' if counts else ''}.{shown}"


def work_rows(tasks: Sequence[TaskAtWork]) -> list[dict[str, object]]:
    """One row a task at work."""
    return [
        {
            "Stage": stage_words(task.stage),
            "Of": unit_words(task.unit),
            "For (s)": round(task.seconds),
            "Attempt": task.attempt,
        }
        for task in tasks
    ]


def failed_rows(tasks: Sequence[FailedTask]) -> list[dict[str, object]]:
    """One row a task that could not be computed."""
    return [
        {
            "Stage": stage_words(task.stage),
            "Of": unit_words(task.unit),
            "Reason": task.reason,
            "Attempts": task.attempts,
        }
        for task in tasks
    ]
