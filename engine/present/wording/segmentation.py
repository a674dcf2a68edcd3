"""Sentences about masks: how well they agree, what drives it, what readers said."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from engine.present.intervals import Estimate, mean_interval, share_interval
from engine.present.numbers import counted, interval, number, p_term, percent
from store.queries.agreement import AgreementSummary, CaseAgreement, MaskPair, ReviewCase
from store.records import Association, Verdict

VARIABLE_LABELS = {
    "sphericity": "Sphericity",
    "maximum_3d_diameter_mm": "Maximum 3D diameter (mm)",
    "volume_ml": "Volume (ml)",
    "contact_share": "Share of surface in contact with pleura",
    "slice_thickness_mm": "Slice thickness (mm)",
    "slice_thickness": "Slice thickness",
    "third": "Third of the lung",
    "side": "Side",
    "chest_wall_contact": "Chest wall contact",
    "kernel_group": "Reconstruction kernel",
    "contrast": "Contrast",
    "manufacturer": "Manufacturer",
}
EFFECT_LABELS = {
    "rho": "Spearman ρ",
    "epsilon squared": "ε²",
}
TESTED_AS = {"slice_thickness_mm": "slice_thickness"}  # drawn as a number, tested in groups
TEST_LABELS = {"spearman": "Spearman", "mann-whitney": "Mann-Whitney", "kruskal-wallis": "Kruskal-Wallis"}
JUDGEMENTS = {
    "none": "no correction",
    "minor": "a minor one",
    "major": "a major one",
    "missed": "missed",
    "drawn": "contoured unseen",
}


def variable_label(variable: str) -> str:
    """A variable's name on an axis, with its unit."""
    return VARIABLE_LABELS.get(variable, variable.replace("_", " ").capitalize())


def pair_label(pair: MaskPair) -> str:
    """Two makers of masks as a choice in a list."""
    what = "" if pair.comparison == "agreement" else " (edit distance)"
    return f"{pair.structure.replace('_', ' ').capitalize()}: {pair.to_source[:12]} vs {pair.from_source}{what}"


def agreement_answer(summary: AgreementSummary, pair: MaskPair) -> str:
    """Mean agreement over all and over detected tumours, and how many were found at all."""
    found = share_interval(summary.detected, summary.n)
    everything = mean_interval(summary.dsc_mean, summary.dsc_sd, summary.n)
    detected = mean_interval(summary.detected_dsc_mean, summary.detected_dsc_sd, summary.detected)
    name = "DSC" if pair.comparison == "agreement" else "edit distance (as DSC)"
    return (
        f"Over all {summary.n} the mean {name} is **{number(summary.dsc_mean)}** (95 % CI {_ci(everything)}); "
        f"over the {summary.detected} detected it is **{number(summary.detected_dsc_mean)}** ({_ci(detected)}). "
        f"**{percent(found.estimate)}** were detected ({percent(found.lower)} to {percent(found.upper)})."
    )


def headline(summary: AgreementSummary, tolerance_mm: float) -> tuple[tuple[str, str, str], ...]:
    """The numbers of the headline: name, value, and what stands beside it."""
    return (
        ("DSC, all", number(summary.dsc_mean), f"± {number(summary.dsc_sd)}"),
        ("DSC, detected", number(summary.detected_dsc_mean), f"± {number(summary.detected_dsc_sd)}"),
        ("Detected", f"{summary.detected} of {summary.n}", f"{summary.empty} empty, {summary.wrong_place} elsewhere"),
        (f"Surface DSC, {tolerance_mm:g} mm", number(summary.surface_dsc_mean), f"± {number(summary.surface_dsc_sd)}"),
        ("HD95, detected", f"{number(summary.hd95_median_mm, 1)} mm", "median"),
    )


def _ci(found: Estimate) -> str:
    return interval(found.lower, found.upper)


def association_for(
    associations: Sequence[Association], outcome: str, variable: str, subset: str = "all"
) -> Association | None:
    """The test of one variable: in the wanted subset if there is one, else in any."""
    tested = TESTED_AS.get(variable, variable)
    fitting = [a for a in associations if a.outcome == outcome and a.variable == tested]
    return next((a for a in fitting if a.subset == subset), fitting[0] if fitting else None)


def association_sentence(found: Association | None) -> str:
    """The sentence under a scatter: effect with interval, p and q where they may be shown, test and n."""
    if found is None:
        return "No test is recorded for this variable."
    if found.effect is None:
        return f"Not tested: too few cases, or groups of one (n = {found.n})."
    effect = f"{EFFECT_LABELS.get(found.effect_name, found.effect_name)} {number(found.effect)}"
    if found.effect_lo is not None:
        effect += f" (95 % CI {interval(found.effect_lo, found.effect_hi)})"
    shown = [effect, *(p_term(p, name) for p, name in ((found.p, "p"), (found.q, "q")) if p is not None)]
    verdict = f" Against the margin: {found.verdict}." if found.verdict else ""
    test = TEST_LABELS.get(found.test, found.test)
    return f"{', '.join(shown)}; {test}, {found.subset} cases, n = {found.n}.{verdict}"


def drawn_sentence(rows: Sequence[CaseAgreement], shown: int) -> str:
    """How many cases are drawn and how many miss the value."""
    missing = len(rows) - shown
    lost = f" ({counted(missing, 'case')} without this value)" if missing else ""
    return f"Drawn: n = {shown}{lost}. Click a point to see its images."


def review_answer(case: ReviewCase, signed: Sequence[Verdict]) -> str:
    """What is known of one case's automatic outline: its agreement and the readers' judgement."""
    if case.missed:
        fit = "The automatic outline **misses** the tumour."
    elif case.dsc is None:
        fit = "There is no automatic outline to compare with a reference."
    else:
        fit = f"Automatic and reference outlines agree with a DSC of **{number(case.dsc)}**."
    if not signed:
        return f"{fit} No reader has judged it yet."
    counts = Counter(verdict.judgement for verdict in signed)
    said = ", ".join(f"{counts[name]} × {label}" for name, label in JUDGEMENTS.items() if counts[name])
    return f"{fit} Readers' judgement of the correction it needs: {said}."
