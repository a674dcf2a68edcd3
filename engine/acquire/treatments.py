"""What was done to a patient and when he was scanned, as far as the study's table says."""

from __future__ import annotations

from engine.acquire.csv_table import is_missing
from engine.acquire.joined import Joined
from engine.protocol import Eligibility
from store.records import Treatment


def treatment_of(joined: Joined, patient: str, case_id: str, choices: Eligibility) -> Treatment:
    """The declared columns of one patient; None where none is declared or the cell is empty."""
    days = joined.number(patient, choices.scan_days) if choices.scan_days else None
    sign = -1 if choices.scan_sign == "from time zero" else 1
    return Treatment(
        case_id=case_id,
        neoadjuvant=_yes(joined, patient, choices.neoadjuvant, choices),
        adjuvant=_yes(joined, patient, choices.adjuvant, choices),
        margins_involved=_yes(joined, patient, choices.margins, choices),
        scan_days_before=None if days is None else sign * round(days),
    )


def _yes(joined: Joined, patient: str, column: str, choices: Eligibility) -> bool | None:
    cell = joined.cell(patient, column).strip().lower() if column else ""
    return None if is_missing(cell) else cell.removesuffix(".0") in {value.lower() for value in choices.yes}
