"""Sentences about masks: how well they agree, what drives it, what readers said."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence

from engine.present.intervals import Estimate, mean_interval, share_interval
from engine.present.numbers import counted, interval, number, p_term, percent
from engine.statistics.association import spearman
from store.queries.agreement import AgreementSummary, CaseAgreement, CurvePoint, MaskPair, ReviewCase
from store.records import AcquisitionPair, Association, BatchDifference, DeclinedError, Verdict

VARIABLE_LABELS = {
    "sphericity": "Sphericity",
    "maximum_3d_diameter_mm": "Maximum 3D diameter (mm)",
    "volume_ml": "Volume (ml)",
    "contact_share": "Share of surface in contact with pleura",
    "costal_contact_share": "Share of surface against the chest wall",
    "distance_to_mediastinum_mm": "Distance to the mediastinum (mm)",
    "protrusion_mm": "Protrusion beyond the pleura (mm)",
    "elongation": "Elongation (1: round)",
    "lobe": "Lobe",
    "vendor": "Vendor",
    "missed_kind": "Found",
    "slice_thickness_mm": "Slice thickness (mm)",
    "slice_thickness": "Slice thickness",
    "third": "Third of the lung",
    "side": "Side",
    "chest_wall_contact": "Chest wall contact",
    "kernel_group": "Reconstruction kernel",
    "contrast": "Contrast",
    "manufacturer": "Manufacturer",
}
OUTCOME_LABELS = {"dsc": "DSC", "surface_dsc": "Surface DSC", "missed": "A miss"}
SMALL_P = 0.05
FEWEST_FOR_EFFECT = 5
EFFECT_LABELS = {
    "rho": "Spearman ρ",
    "epsilon squared": "ε²",
}
TESTED_AS = {"slice_thickness_mm": "slice_thickness"}  # drawn as a number, tested in groups
TEST_LABELS = {"spearman": "Spearman", "mann-whitney": "Mann-Whitney", "kruskal-wallis": "Kruskal-Wallis"}
FOUND_WORDS = {"found": "yes", "empty": "nothing predicted", "wrong_place": "in the wrong place"}
MODEL_HASH = re.compile("[0-9a-f]{12}")
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


PAIR_KINDS = {
    "agreement": "",
    "edit_distance": " (edit distance)",
    "readers": " (two readers)",
    "models": " (two programs)",
}
NO_REFERENCE = (
    "**No reference was drawn independently of the automatic mask**, so nothing here says how good the masks are. Have "
    "a random sample of 30 cases contoured on a blank canvas, without the automatic outline in sight: "
)


def pair_label(pair: MaskPair) -> str:
    """Two makers of masks as a choice in a list; the structure where it is not the tumour."""
    of = "" if pair.structure == "tumour" else f", {pair.structure.replace('_', ' ')}"
    both = f"{maker_name(pair.to_source)} vs {maker_name(pair.from_source)}"
    return f"{both[0].upper()}{both[1:]}{of}{PAIR_KINDS[pair.comparison]}"


def maker_name(source: str) -> str:
    """Who made a mask: a model by the first digits of its hash, a reader or program by its name, cut to 14."""
    return f"model {source[:4]}" if MODEL_HASH.fullmatch(source) else source[:14].replace("_", " ")


def plain_cell(column: str, value: str) -> str:
    """A stored word of the tables of agreement as it is written elsewhere on the page."""
    if column == "missed_kind":
        return FOUND_WORDS.get(value, value)
    if column == "test":
        return next(
            (label + value[len(name) :] for name, label in TEST_LABELS.items() if value.startswith(name)), value
        )
    return OUTCOME_LABELS.get(value, value)


def agreement_answer(summary: AgreementSummary, pair: MaskPair) -> str:
    """Mean agreement over all and over detected tumours, and how many were found at all."""
    found = share_interval(summary.detected, summary.n)
    everything = mean_interval(summary.dsc_mean, summary.dsc_sd, summary.n)
    detected = mean_interval(summary.detected_dsc_mean, summary.detected_dsc_sd, summary.detected)
    name = "edit distance (as DSC)" if pair.comparison == "edit_distance" else "DSC"
    both = {
        "readers": "**{share}** of the outlines of one reader were touched by the other's",
        "models": "**{share}** of the outlines of one program were touched by the other's",
    }.get(pair.comparison, "**{share}** were detected")
    said = both.format(share=percent(found.estimate))
    return (
        f"Over all {summary.n} the mean {name} is **{number(summary.dsc_mean)}** (95 % CI {_ci(everything)}); "
        f"over the {summary.detected} detected it is **{number(summary.detected_dsc_mean)}** ({_ci(detected)}). "
        f"{said} ({percent(found.lower)} to {percent(found.upper)})."
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
    """The sentence under a scatter: what the measure does, effect with interval, p and q where shown, test and n."""
    if found is None:
        return "No test is recorded for this variable."
    if found.effect is None:
        return f"Not tested: too few cases, or groups of one (n = {found.n})."
    effect = f"{EFFECT_LABELS.get(found.effect_name, found.effect_name)} {number(found.effect)}"
    if found.effect_lo is not None:
        effect += f" (95 % CI {interval(found.effect_lo, found.effect_hi)})"
    shown = [effect, *(p_term(p, name) for p, name in ((found.p, "p"), (found.q, "q")) if p is not None)]
    verdict = f" Against the margin: {found.verdict}." if found.verdict else ""
    alias = f" It cannot be told from {_named(found.aliased_with)}." if found.aliased_with else ""
    test = TEST_LABELS.get(found.test, found.test)
    return f"{_change_words(found)}{', '.join(shown)}; {test}, {found.subset} cases, n = {found.n}.{verdict}{alias}"


def _named(variables: str) -> str:
    return " and ".join(variable_label(name).lower() for name in variables.split(", "))


def _change_words(found: Association) -> str:
    """What the score does with the variable, in words: falls, rises, or no clear relation; empty where not known."""
    name = OUTCOME_LABELS.get(found.outcome, found.outcome)
    variable = variable_label(found.variable)
    plain = variable[0].lower() + variable[1:]
    if found.effect is None or found.effect_lo is None or found.effect_hi is None:
        return ""
    clear = found.effect_lo > 0 or found.effect_hi < 0
    if found.change is None:
        differs = f"{name} differs by {plain}" if clear and found.p is not None and found.p < SMALL_P else ""
        return f"{differs}: " if differs else ""
    change = f"{number(found.change)} per {found.change_per}"
    if " less " in found.change_per:
        change = f"{number(found.change)}, {found.change_per}"
    if not clear:
        return f"No clear relation of {name} with {plain} ({change}): "
    if " less " in found.change_per:
        return f"{name} differs by {plain} ({change}): "
    return f"{name} {'rises' if found.effect > 0 else 'falls'} with {plain} ({change}): "


def filtered_sentence(rows: Sequence[CaseAgreement], variable: str, measure: str) -> str:
    """What the drawn part of the cases shows, without p: a choice made after looking."""
    pairs = [(getattr(row, variable), getattr(row, measure)) for row in rows]
    known = [(float(x), float(y)) for x, y in pairs if isinstance(x, int | float) and y is not None]
    if len(known) < FEWEST_FOR_EFFECT:
        return f"Too few cases for an estimate (n = {len(known)})."
    try:
        found = spearman([x for x, _ in known], [y for _, y in known])
    except DeclinedError:
        return f"Nothing varies here (n = {len(known)})."
    return f"Of the cases shown: Spearman ρ {number(found.rho)}, n = {len(known)}; tests are of all cases."


def forest_sentence(rows: Sequence[Association]) -> str:
    """What lowers the DSC of detected tumours most, all else kept; how the model was made."""
    if not rows:
        return "Not modelled: too few detected tumours with a reference shape."
    clear = [r for r in rows if r.effect_lo is not None and r.effect_hi is not None and r.effect_lo * r.effect_hi > 0]
    bends = "splines" if all("straight" not in row.test for row in rows) else "straight lines, for too few patients"
    how = f"Fractional logit of detected tumours, n = {rows[0].n}; sphericity and diameter jointly, as {bends}."
    if not clear:
        return f"No variable has an effect whose interval excludes 0. {how}"
    largest = max(clear, key=lambda row: abs(row.effect or 0.0))
    change = f"{number(largest.effect)} ({interval(largest.effect_lo, largest.effect_hi)})"
    name = variable_label(largest.variable)
    return f"All else kept, {name[0].lower() + name[1:]} changes DSC most: {change}, {largest.change_per}. {how}"


def missed_sentence(rows: Sequence[Association]) -> str:
    """What goes with a miss."""
    if not rows:
        return "No model of missed tumours: none was missed, or none was found."
    parts = []
    for row in rows:
        bounds = f" ({interval(row.effect_lo, row.effect_hi)})" if row.effect_lo is not None else ""
        shown = f", {p_term(row.p)}" if row.p is not None else ""
        name = variable_label(row.variable)
        parts.append(f"{name[0].lower() + name[1:]} {number(row.effect)}{bounds}{shown}")
    return f"{rows[0].effect_name.capitalize()} of a miss: {'; '.join(parts)} ({rows[0].test}; n = {rows[0].n})."


def batch_sentence(rows: Sequence[BatchDifference]) -> str:
    """Which kinds of scans may be called equal, which differ, and for which nothing can be said."""
    if not rows:
        return "No two kinds of scans with two cases each: nothing to compare."
    counts = Counter(row.verdict for row in rows)
    said = ", ".join(f"{counts[name]} {name}" for name in ("equivalent", "different", "inconclusive") if counts[name])
    return (
        f"Of {counted(len(rows), 'pair')} of scan groups: {said}. Equivalent: the 90 % interval lies within "
        f"±{rows[0].margin:g} DSC (band); not within it is not a difference. Not adjusted for tumours; "
        f"n = {max(row.n_first + row.n_second for row in rows)} in the largest pair."
    )


def alias_sentence(pairs: Sequence[AcquisitionPair]) -> str:
    """Which acquisition variables cannot be told apart here."""
    aliased = [pair for pair in pairs if pair.aliased]
    if not aliased:
        return "No two of contrast, kernel, vendor and slice thickness go together so closely that they are one effect."
    names = "; ".join(
        f"{variable_label(p.first).lower()} and {variable_label(p.second).lower()} (Cramér's V {number(p.cramers_v)})"
        for p in aliased
    )
    return f"Cannot be told apart in this cohort, and count as one effect: {names}."


def cross_title(found: AcquisitionPair) -> str:
    """What a cross-table shows."""
    v = "" if found.cramers_v is None else f", Cramér's V {number(found.cramers_v)}"
    return f"{variable_label(found.first)} (rows) by {variable_label(found.second).lower()} (columns){v}"


def cross_table(found: AcquisitionPair) -> list[dict[str, str | int]]:
    """Rows of a cross-table: a level of the first variable and how many cases have each level of the second."""
    counts: dict[str, dict[str, int]] = json.loads(found.counts)
    levels = sorted({level for own in counts.values() for level in own})
    name = variable_label(found.first)
    return [{name: row} | {level: own.get(level, 0) for level in levels} for row, own in sorted(counts.items())]


def misses_sentence(gone: Sequence[CaseAgreement]) -> str:
    """How many were missed, and how many more were touched so little that they might as well count."""
    strict = sum(row.missed for row in gone)
    return (
        f"{counted(strict, 'case')} missed: nothing predicted, or in the wrong place only. {len(gone) - strict} more "
        "touched with a lesion DSC under the protocol's limit, counted as found above."
    )


def is_of_pair(found: Association, pair: MaskPair) -> bool:
    """Whether a test is about this pair of masks."""
    same = (found.from_source, found.to_source) == (pair.from_source, pair.to_source)
    return same and (pair.structure, pair.comparison) == ("tumour", "agreement")


def curve_sentence(points: Sequence[CurvePoint], thickness_mm: Sequence[float]) -> str:
    """What the tolerance does, and the warning that belongs to slices."""
    if not points:
        return "No tolerance curve: only tumours have one."
    thick = sorted(set(thickness_mm))
    ends = f"{thick[0]:g} mm" if len(thick) == 1 else f"{thick[0]:g} to {thick[-1]:g} mm" if thick else ""
    slices = f" Slices here: {ends}." if ends else ""
    return (
        f"n = {points[0].n}; bars: 95 % CI of the mean. The voxel definition (Nikolov, as surface-distance and MONAI) "
        f"reads high, by up to 0.3 on 5 mm slices; smooth surfaces come within 0.04 of exact spheres.{slices}"
    )


def error_sentence(errors_mm: Sequence[float], case_id: str) -> str:
    """What the colours of the error map say of one case."""
    ordered = sorted(errors_mm)
    low, high = ordered[int(0.05 * len(ordered))], ordered[int(0.95 * (len(ordered) - 1))]
    return (
        f"{case_id}: the reference's surface (n = {len(ordered)} points), coloured by how far the other mask reaches "
        f"beyond it (vermilion) or falls short of it (blue); 90 % of points lie between {number(low, 1)} and "
        f"{number(high, 1)} mm."
    )


def drawn_sentence(rows: Sequence[CaseAgreement], shown: int) -> str:
    """How many cases are drawn and how many miss the value."""
    missing = len(rows) - shown
    lost = f" ({counted(missing, 'case')} without this value)" if missing else ""
    ways = "Click a point to see its images; the box tool above the figure lists the cases in it."
    return f"Drawn: n = {shown}{lost}. {ways}"


def review_answer(case: ReviewCase, words: Sequence[Verdict], hidden: int) -> str:
    """What is known of one case's automatic outline: agreement and the readers' last words, where they may be known.

    hidden: how many readers' words whoever reads may not know yet.
    """
    if case.missed:
        fit = "The automatic outline **misses** the tumour."
    elif case.dsc is None:
        fit = "There is no automatic outline to compare with a reference."
    else:
        fit = f"Automatic and reference outlines agree with a DSC of **{number(case.dsc)}**."
    if hidden:
        return f"{fit} What {counted(hidden, 'reader')} judged is hidden until you have signed."
    if not words:
        return f"{fit} No reader has judged it yet."
    counts = Counter(verdict.judgement for verdict in words)
    said = ", ".join(f"{counts[name]} × {label}" for name, label in JUDGEMENTS.items() if counts[name])
    return f"{fit} Readers' judgement of the correction it needs: {said}."
