"""Whether columns declared as days are days: another unit turns an event after years into one within the horizon."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from engine.acquire.joined import Joined
from engine.acquire.outcomes import STAGE, day_columns
from engine.protocol import Eligibility, Outcome
from store import records
from store.records import Flag, RefusedError

WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")  # OSMonths, os_months, OS (mo)
STEMS = ("month", "year", "week", "monat", "jahr", "woche", "maand", "annee")  # as words of no other meaning: OSmonths
UNITS = frozenset(
    ("mo", "mos", "mth", "mths", "mois", "mes", "meses", "mesi", "yr", "yrs", "ans", "anos", "anni", "jaar")
    + ("wk", "wks")
)
DAYS = frozenset(
    ("day", "days", "tag", "tage", "tagen", "jour", "jours", "dia", "dias", "giorno", "giorni", "dag", "dagen")
)
FEWEST_TO_JUDGE = 10  # patients, of whom the last may well have been seen within half a year
SHORTEST_DAYS = 200  # longest follow-up of a study; 16 years are 192 months


def check_units(joined: Joined, choices: Outcome, eligibility: Eligibility) -> None:
    """RefusedError where the name of a declared column of days says months, years or weeks, and not days."""
    declared = (*day_columns(choices), *((eligibility.scan_days,) if eligibility.scan_days else ()))
    for column in declared:
        if _says_another_unit(column):
            text = f"column {column!r} is declared as days; its name says another unit."
            remedy = "Give days counted from time zero; if they are days, say so in the column's name."
            raise RefusedError("not_days", joined.role(column), text, remedy)


def short_follow_up_flags(outcomes: Sequence[records.Outcome], horizon_days: int) -> tuple[Flag, ...]:
    """A flag where nobody is followed for 200 days, nor to the horizon; none for under 10 patients with a day."""
    longest = [max(days) for one in outcomes if (days := _days_of(one))]
    least = min(SHORTEST_DAYS, horizon_days)
    if len(longest) < FEWEST_TO_JUDGE or max(longest) >= least:
        return ()
    text = f"none of {len(longest)} patients is followed for {least} days."
    return (Flag(STAGE, "short_follow_up", text, "If the days are months or years, give days instead."),)


def _says_another_unit(column: str) -> bool:
    plain = "".join(c for c in unicodedata.normalize("NFKD", column) if not unicodedata.combining(c))
    words = {word.lower() for word in WORD.findall(plain)}
    another = bool(words & UNITS) or any(stem in plain.lower() for stem in STEMS)
    return another and not (words & DAYS or "days" in plain.lower())


def _days_of(one: records.Outcome) -> list[int]:
    found = (one.recurrence_days, one.death_days, one.last_imaging_days, one.last_contact_days, one.dfs_days)
    return [days for days in found if days is not None]
