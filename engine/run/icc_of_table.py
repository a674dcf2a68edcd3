"""Intraclass correlations of a table of repeated measurements, without a study: `python -m engine stats icc`."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from engine.acquire.statistics_table import read_ratings
from engine.statistics.icc import Icc, icc
from store.export import safe_cell

FORMS = {
    "icc11": "one_way",
    "icc21": "agreement",
    "icc31": "consistency",
    "icc1k": "mean_one_way",
    "icc2k": "mean_agreement",
    "icc3k": "mean_consistency",
}
ENDS = {"": "estimate", "_lo": "lower", "_hi": "upper"}


def icc_of_table(path: Path, subject: str, rater: str, value: str, by: str = "") -> str:
    """CSV of the six forms with exact 95 % bounds, one row a cell of the column `by`: n subjects, k complete raters.

    Cells are empty where fewer than two subjects or raters remain or where nothing varies. RefusedError as
    `read_ratings`.
    """
    names = [name + end for name in FORMS for end in ENDS]
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow([*([by] if by else []), "n", "k", *names])
    for ratings in read_ratings(path, subject, rater, value, by):
        values = ratings.of_complete_raters()
        n, k = values.shape
        numbers = _numbers(icc(values[:, :, None])) if n > 1 and k > 1 else [float("nan")] * len(names)
        lines.writerow(
            [*([safe_cell(ratings.name)] if by else []), n, k, *("" if v != v else repr(v) for v in numbers)]
        )
    return text.getvalue()


def _numbers(found: Icc) -> list[float]:
    return [float(getattr(getattr(found, form), part)[0]) for form in FORMS.values() for part in ENDS.values()]
