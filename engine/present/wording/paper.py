"""Our results beside those of the paper, in its order, and whether the two may be compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engine.present.colours import plain_model
from engine.present.intervals import share_interval
from engine.present.numbers import number, p_value, percent
from engine.present.pack import BesidePaper
from store.queries.agreement import AgreementSummary
from store.queries.inference import StepSeconds
from store.queries.study import RunFacts
from store.records import Comparison, ModelSummary, Verdict

# the abstract of So et al., the study this program was written to repeat (153 patients)
PAPER_DSC, PAPER_SURFACE_DSC = "0.84 ± 0.28", "0.79 ± 0.34"
PAPER_SECONDS, PAPER_MISSED, PAPER_MAJOR = "36 s", "6.5 %", "6.5 %"
PAPER_AUC, PAPER_P = "0.67 against 0.63", "0.28"
TOGETHER = "Together"
LEAST = 5


@dataclass(frozen=True, slots=True, eq=False)
class Results:
    """What a run holds of the paper's results; None or empty where it has none."""

    run: RunFacts
    agreement: AgreementSummary | None
    steps: Sequence[StepSeconds]
    verdicts: Sequence[Verdict]
    summaries: Sequence[ModelSummary]
    comparisons: Sequence[Comparison]


def beside_paper(found: Results) -> tuple[BesidePaper, ...]:
    """One line a result that the run has."""
    return (*_masks(found), *_speed(found), *_judgements(found), *_prognosis(found))


def _standing(run: RunFacts, else_said: str) -> str:
    return "no: synthetic patients" if run.synthetic else else_said


def _masks(found: Results) -> list[BesidePaper]:
    summary = found.agreement
    if summary is None:
        return []
    run, n = found.run, f"n = {summary.n}"
    tolerance = f"{run.tolerance_mm:g} mm here; the paper's tolerance is not known"
    dsc = f"{number(summary.dsc_mean)} ± {number(summary.dsc_sd)} ({n})"
    surface = f"{number(summary.surface_dsc_mean)} ± {number(summary.surface_dsc_sd)} ({n})"
    detected = f"{number(summary.detected_dsc_mean)} ± {number(summary.detected_dsc_sd)}"
    return [
        BesidePaper("DSC, all cases, misses as 0", dsc, PAPER_DSC, _standing(run, "same definition")),
        BesidePaper("DSC, detected cases", detected, "not given", _standing(run, "the paper has none")),
        BesidePaper("Surface DSC, all cases", surface, PAPER_SURFACE_DSC, _standing(run, tolerance)),
        BesidePaper("Missed", _share(summary.n - summary.detected, summary.n), PAPER_MISSED, _standing(run, "yes")),
    ]


def _share(count: int, n: int) -> str:
    """A share with Wilson's interval; of one to four patients only that they are fewer than five."""
    if 0 < count < LEAST:
        return f"fewer than 5 of {n}"
    found = share_interval(count, n)
    return f"{percent(found.estimate)} ({percent(found.lower)} to {percent(found.upper)}; n = {n})"


def _speed(found: Results) -> list[BesidePaper]:
    whole = next((row for row in found.steps if row.step == TOGETHER), None)
    if whole is None:
        return []
    ours = f"{number(whole.median, 1)} s (median; n = {whole.n}; {whole.device})"
    return [BesidePaper("Seconds a series", ours, PAPER_SECONDS, "no: the paper's hardware is not known")]


def _judgements(found: Results) -> list[BesidePaper]:
    judged = [v for v in found.verdicts if v.role == "reader" and v.structure == "tumour" and v.judgement != "drawn"]
    if not judged:
        return []
    major = sum(v.judgement == "major" for v in judged)
    said = _standing(found.run, "readers' own words; criteria may differ")
    return [BesidePaper("Major correction, of readers' verdicts", _share(major, len(judged)), PAPER_MAJOR, said)]


def _prognosis(found: Results) -> list[BesidePaper]:
    aucs = {plain_model(row.model): row for row in found.summaries}
    combined, clinical = aucs.get("combined"), aucs.get("clinical")
    if combined is None or clinical is None:
        return []
    run = found.run
    ours = (
        f"{number(combined.auc)} ({number(combined.auc_lo)} to {number(combined.auc_hi)}) against "
        f"{number(clinical.auc)} ({number(clinical.auc_lo)} to {number(clinical.auc_hi)}); n = "
        f"{clinical.n}, {clinical.events} events"
    )
    lines = [BesidePaper("AUC, combined against clinical", ours, PAPER_AUC, _standing(run, "out of bag here"))]
    pair = next((c for c in found.comparisons if plain_model(c.extended) == "combined" and c.base == "clinical"), None)
    if pair is not None and pair.delong_difference is not None:
        p = p_value(pair.delong_p) if run.locked_at else "none: the plan is not locked"
        said = _standing(run, "as in the paper; no test of the procedure")
        lines.append(BesidePaper("p of the difference (DeLong)", p, PAPER_P, said))
    return lines
