"""How numbers are written on every page: decimals, true minus, intervals, p to two significant digits, never stars."""

from __future__ import annotations

import math
from datetime import datetime

MINUS = "−"


def number(value: float | None, digits: int = 2) -> str:
    """A number with a fixed number of decimals and a true minus; a dash where there is none."""
    if value is None or math.isnan(value):
        return "–"
    return f"{value:.{digits}f}".replace("-", MINUS)


def p_value(value: float | None) -> str:
    """p to two significant digits, from 0.0001 on; never stars."""
    if value is None or math.isnan(value):
        return "–"
    if value < 0.0001:
        return "< 0.0001"
    return f"{value:.2g}" if value < 0.995 else "1.0"


def p_term(value: float | None, name: str = "p") -> str:
    """ "p = 0.021" or "p < 0.0001"."""
    text = p_value(value)
    return f"{name} {text}" if text.startswith("<") else f"{name} = {text}"


def interval(lower: float | None, upper: float | None, digits: int = 2) -> str:
    """ "0.21 to 0.64"."""
    return f"{number(lower, digits)} to {number(upper, digits)}"


def percent(share: float | None) -> str:
    """A share as a whole percentage."""
    return "–" if share is None or math.isnan(share) else f"{100 * share:.0f}\u00a0%"


def counted(n: int, singular: str, plural: str = "") -> str:
    """ "1 case", "12 cases"."""
    return f"{n:,} {singular if n == 1 else plural or singular + 's'}".replace(",", " ")


def duration(seconds: float | None) -> str:
    """Seconds as people say them: "under a minute", "12 min", "2 h 05 min"."""
    if seconds is None:
        return "not known yet"
    if seconds < 60:
        return "under a minute"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def moment(iso: str | None) -> str:
    """A moment stored in UTC as "23 Nov 2026, 11:40 UTC"; a dash where there is none."""
    return datetime.fromisoformat(iso).strftime("%-d %b %Y, %H:%M UTC") if iso else "–"
