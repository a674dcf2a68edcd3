"""What happened to a patient: disease-free survival from its columns, and the label at the horizon with its reason."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass

from engine.acquire.csv_table import few_lines, is_missing
from engine.acquire.joined import Joined
from engine.protocol import Outcome as OutcomeChoices
from store.records import Flag, Outcome, RefusedError

CAUSES = ("cancer", "other", "unknown")
OPPOSITE = {"1": "0", "yes": "no", "true": "false", "y": "n", "0": "1", "dead": "alive", "deceased": "alive"}
BEFORE_TIME_ZERO = "undetermined: a recorded day lies before time zero (row refused, counts as censored at day 0)"
UNDATED_DEATH = "undetermined: a cause of death and no day of any event (row refused, counts as censored at day 0)"
CAUSES_OF_A_DEATH = ("cancer", "other")  # a table may well say "unknown" of the living
UNKNOWN = frozenset(
    ("unknown", "not known", "unk", "n.a.", "not recorded", "not reported", "-", "?", "unbekannt", "nicht bekannt")
    + ("k.a.", "k. a.", "keine angabe", "inconnu", "desconocido", "sconosciuto", "onbekend")
)
NO_DEATH = frozenset(("none", "no", "0", "alive", "living", "not dead", "not applicable", "keine", "lebt", "lebend"))
STAGE = "clinical"
WHOLE = re.compile(r"\d+")
THOUSANDS = re.compile(r"[1-9]\d{0,2}\.\d{3}")  # 1.000: one day, or a thousand
CODES_OF_UNKNOWN = (7777, 8888, 9999)  # as registries write "not known"; 999 days is a follow-up that exists
FAR_BEYOND = 1.5  # times the longest of the other days: no follow-up of the study
MOST_DAYS = 30_000  # 82 years; today as a spreadsheet's date is 46,000


@dataclass(frozen=True, slots=True)
class Label:
    """Event by the horizon (True), free of it (False), or undetermined (None), with the reason in words."""

    value: bool | None
    reason: str


def horizon_label(days: int | None, event: bool | None, horizon_days: int) -> Label:
    """The label at the horizon of one patient; censored before it is undetermined, never "no event"."""
    if days is None or event is None:
        return Label(None, "no outcome recorded")
    if event and days <= horizon_days:
        return Label(True, f"event by {horizon_days} days")
    if days >= horizon_days:
        return Label(False, f"event-free at {horizon_days} days")
    return Label(None, f"censored before {horizon_days} days")


def outcome_of(joined: Joined, patient: str, case_id: str, choices: OutcomeChoices, time_zero: str) -> Outcome:
    """The outcome of one patient by the declared kind: columns, time or binary."""
    if choices.kind == "columns":
        return _from_columns(joined, patient, case_id, choices, time_zero)
    if choices.kind == "time":
        return _from_time(joined, patient, case_id, choices, time_zero)
    return _from_binary(joined, patient, case_id, choices, time_zero)


def days_before_zero(joined: Joined, patient: str, choices: OutcomeChoices) -> tuple[str, ...]:
    """The declared day columns in which a patient has a negative day."""
    found = []
    for column in day_columns(choices):
        value = joined.number(patient, column)
        if value is not None and value < 0:
            found.append(column)
    return tuple(found)


def has_undated_death(joined: Joined, patient: str, choices: OutcomeChoices) -> bool:
    """Whether a patient died of a known cause on a day that is not recorded."""
    if choices.kind != "columns" or not (choices.cause and choices.death_days):
        return False
    cause = joined.cell(patient, choices.cause).lower()
    return cause in CAUSES_OF_A_DEATH and is_missing(joined.cell(patient, choices.death_days))


def check_causes(joined: Joined, patients: tuple[str, ...], choices: OutcomeChoices) -> None:
    """RefusedError where the column of causes says what is no declared cause, of whomever: he may be dead, unread."""
    if choices.kind != "columns" or not choices.cause:
        return
    known = {*CAUSES, *UNKNOWN, *NO_DEATH}
    cells = {patient: joined.cell(patient, choices.cause).strip().lower() for patient in patients}
    wrong = sorted(
        joined.line(p, choices.cause) for p, cell in cells.items() if not is_missing(cell) and cell not in known
    )
    if wrong:
        text = f"column {choices.cause!r} holds what is none of {', '.join(CAUSES)}, at lines {few_lines(wrong)}."
        remedy = "Recode the cause of death; leave it empty for the living."
        raise RefusedError("cause_code", joined.role(choices.cause), text, remedy)


def has_recurrence(joined: Joined, patient: str, choices: OutcomeChoices) -> bool:
    """Whether a day of recurrence is recorded: an event by itself, whatever is missing of the death."""
    return bool(choices.recurrence_days) and not is_missing(joined.cell(patient, choices.recurrence_days))


def check_event_codes(joined: Joined, patients: tuple[str, ...], choices: OutcomeChoices) -> None:
    """RefusedError where the event column holds a code that is neither the event nor its opposite.

    The opposite of 1 is 0, of yes no, of true false, of dead alive; of any other value the one other value there is.
    Words for unknown are missing values, not codes.
    """
    if choices.kind not in ("time", "binary"):
        return
    event = _code(choices.event_value)
    cells = {patient: _code(joined.cell(patient, choices.event)) for patient in patients}
    others = sorted({code for code in cells.values() if not is_no_event_code(code) and code != event})
    allowed = {OPPOSITE[event]} if event in OPPOSITE else set(others[:1])
    wrong = [joined.line(patient, choices.event) for patient, code in cells.items() if code in set(others) - allowed]
    if wrong or (event not in OPPOSITE and len(others) > 1):
        lines = ", ".join(map(str, sorted(wrong)[:8]))
        text = f"column {choices.event!r} holds codes that are neither event nor no event, at lines {lines}."
        raise RefusedError("event_code", joined.role(choices.event), text, "Recode it, or set outcome.event_value.")


def is_no_event_code(cell: str) -> bool:
    """Whether a cell of the event column is empty or says that the event is not known."""
    return is_missing(cell) or cell.strip().lower() in UNKNOWN


def rounded_days_flags(joined: Joined, patients: tuple[str, ...], choices: OutcomeChoices) -> tuple[Flag, ...]:
    """One flag a column of days that are not whole, with its lines.

    RefusedError where every cell is a whole number or looks like thousands: 1.000 beside 900 may be either, but not
    where one would be more than MOST_DAYS as thousands.
    """
    flags = []
    for column in day_columns(choices):
        cells = {patient: joined.cell(patient, column) for patient in patients}
        filled = {joined.line(patient, column): cell for patient, cell in cells.items() if not is_missing(cell)}
        dotted = sorted(line for line, cell in filled.items() if THOUSANDS.fullmatch(cell))
        whole = sum(WHOLE.fullmatch(cell) is not None for cell in filled.values())
        most = max((int(filled[line].replace(".", "")) for line in dotted), default=0)
        if dotted and whole and len(dotted) + whole == len(filled) and most <= MOST_DAYS:
            text = f"column {column!r} holds days with a point before three digits, at lines {few_lines(dotted)}."
            remedy = "The point may part thousands: export days as whole numbers without it."
            raise RefusedError("thousands_separator", joined.role(column), text, remedy)
        broken = sorted(joined.line(p, column) for p in patients if (joined.number(p, column) or 0) % 1)
        if broken:
            text = f"column {column!r} holds days that are not whole and are rounded, at lines {few_lines(broken)}."
            flags.append(Flag(STAGE, "fractional_days", text, "If they are months or years, give days instead."))
    return tuple(flags)


def unknown_day_flags(joined: Joined, patients: tuple[str, ...], choices: OutcomeChoices) -> tuple[Flag, ...]:
    """A flag a column that holds 7777, 8888 or 9999 days, a follow-up of 21 to 27 years.

    RefusedError where that is no follow-up of this study but a code for unknown: the same one stands there more than
    once, or one lies far beyond all other days of any column.
    """
    flags = []
    days = {column: {p: joined.number(p, column) or 0 for p in patients} for column in day_columns(choices)}
    others = [value for of_column in days.values() for value in of_column.values() if value not in CODES_OF_UNKNOWN]
    longest = max(others, default=0)
    for column, of_column in days.items():
        codes = {patient: value for patient, value in of_column.items() if value in CODES_OF_UNKNOWN}
        if not codes:
            continue
        lines = few_lines(sorted(joined.line(patient, column) for patient in codes))
        text = f"column {column!r} holds 7777, 8888 or 9999, codes for unknown in many registries, at lines {lines}."
        if len(set(codes.values())) < len(codes) or max(codes.values()) > FAR_BEYOND * longest:
            raise RefusedError("code_as_day", joined.role(column), text, "Empty the cells.")
        flags.append(Flag(STAGE, "code_as_day", text, "If it stands for unknown, empty the cell."))
    return tuple(flags)


def contradiction_flags(outcome: Outcome) -> tuple[Flag, ...]:
    """What does not go together in one patient's outcome."""
    flags = []
    recurrence, death = outcome.recurrence_days, outcome.death_days
    if recurrence is not None and death is not None and recurrence > death:
        flags.append(_flag(outcome.case_id, "recurrence_after_death", "recurrence is dated after death."))
    last = max(outcome.last_contact_days or 0, outcome.last_imaging_days or 0)
    if death is not None and last > death:
        flags.append(_flag(outcome.case_id, "contact_after_death", "the last contact or imaging is dated after death."))
    if outcome.dfs_days is not None and outcome.dfs_event and 0 < last < outcome.dfs_days:
        flags.append(_flag(outcome.case_id, "event_after_contact", "the event is dated after the last contact."))
    if outcome.dfs_event and outcome.dfs_days == 0:
        remedy = "If 0 stands for no event, empty the cell."
        flags.append(_flag(outcome.case_id, "event_at_day_0", "the event is dated at time zero.", remedy))
    return tuple(flags)


def _flag(case_id: str, code: str, message: str, remedy: str = "Check the dates.") -> Flag:
    return Flag(STAGE, code, f"case {case_id}: {message}", remedy)


def day_columns(choices: OutcomeChoices) -> tuple[str, ...]:
    """The declared columns of days of an outcome."""
    if choices.kind == "time":
        return (choices.time,)
    if choices.kind != "columns":
        return ()
    names = (choices.recurrence_days, choices.death_days, choices.last_imaging_days, choices.last_contact_days)
    return tuple(name for name in names if name)


def _days(joined: Joined, patient: str, column: str) -> int | None:
    value = joined.number(patient, column) if column else None
    if value is not None and value > MOST_DAYS:
        text = (
            f"column {column!r}, line {joined.line(patient, column)} says more than {MOST_DAYS} days after time zero."
        )
        remedy = "It looks like a spreadsheet's date: give days counted from time zero."
        raise RefusedError("too_many_days", joined.role(column), text, remedy)
    return None if value is None else round(value)


def _from_columns(joined: Joined, patient: str, case_id: str, choices: OutcomeChoices, time_zero: str) -> Outcome:
    recurrence = _days(joined, patient, choices.recurrence_days)
    death = _days(joined, patient, choices.death_days)
    imaging = _days(joined, patient, choices.last_imaging_days)
    contact = _days(joined, patient, choices.last_contact_days)
    known = [day for day in (recurrence, death) if day is not None]
    follow_up = contact if contact is not None else imaging
    days = min(known) if known else follow_up
    label = horizon_label(days, bool(known), choices.horizon_days)
    return Outcome(
        case_id=case_id,
        time_zero=time_zero,
        recurrence_days=recurrence,
        death_days=death,
        cause=_cause(joined, patient, choices.cause) if death is not None else "none",
        last_imaging_days=imaging,
        last_contact_days=contact,
        dfs_days=days,
        dfs_event=None if days is None else bool(known),
        composite_only=False,
        dfs_label=label.value,
        label_reason=label.reason,
    )


def _cause(joined: Joined, patient: str, column: str) -> str:
    cell = joined.cell(patient, column).strip().lower() if column else ""
    if is_missing(cell) or cell in UNKNOWN:
        return "unknown"
    if cell not in CAUSES:
        text = f"column {column!r}, line {joined.line(patient, column)} is none of {', '.join(CAUSES)}."
        raise RefusedError("cause_code", joined.role(column), text, "Recode the cause of death.")
    return cell


def _from_time(joined: Joined, patient: str, case_id: str, choices: OutcomeChoices, time_zero: str) -> Outcome:
    days = _days(joined, patient, choices.time)
    cell = _code(joined.cell(patient, choices.event))
    event = None if is_no_event_code(cell) else cell == _code(choices.event_value)
    known = days is not None and event is not None
    if event and days is None:
        text = f"column {choices.event!r}, line {joined.line(patient, choices.event)} has an event without a time."
        raise RefusedError("event_without_time", joined.role(choices.event), text, "Give its day, or empty the event.")
    label = horizon_label(days, event, choices.horizon_days) if known else _no_label(cell)
    return _composite(case_id, time_zero, (days, event) if known else (None, None), label)


def _from_binary(joined: Joined, patient: str, case_id: str, choices: OutcomeChoices, time_zero: str) -> Outcome:
    cell = _code(joined.cell(patient, choices.event))
    if is_no_event_code(cell):
        return _composite(case_id, time_zero, (None, None), _no_label(cell))
    label = Label(cell == _code(choices.event_value), "declared yes or no")
    return _composite(case_id, time_zero, (None, None), label)


def _no_label(cell: str) -> Label:
    return Label(None, "outcome recorded as unknown" if cell in UNKNOWN else "no outcome recorded")


def refused_outcome(case_id: str, time_zero: str, kind: str, reason: str) -> Outcome:
    """The outcome of a patient whose row is refused: censored at day 0, undetermined, with its reason."""
    outcome = _composite(case_id, time_zero, (0, False), Label(None, reason))
    return outcome if kind == "time" else dataclasses.replace(outcome, composite_only=False)


def _composite(case_id: str, time_zero: str, known: tuple[int | None, bool | None], label: Label) -> Outcome:
    return Outcome(
        case_id=case_id,
        time_zero=time_zero,
        recurrence_days=None,
        death_days=None,
        cause="none",
        last_imaging_days=None,
        last_contact_days=None,
        dfs_days=known[0],
        dfs_event=known[1],
        composite_only=True,
        dfs_label=label.value,
        label_reason=label.reason,
    )


def _code(cell: str) -> str:
    text = cell.strip().lower()
    return text[:-2] if text.endswith(".0") else text
