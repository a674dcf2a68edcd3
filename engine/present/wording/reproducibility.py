"""Sentences about reproducibility: which features survive, which images fall first, what hurts most."""

from __future__ import annotations

from collections.abc import Sequence

from engine.present.colours import roi_label
from engine.present.numbers import counted, number, percent
from store.queries.reproducibility import (
    DECIDING,
    ClassCount,
    Family,
    FeatureIcc,
    FeatureValue,
    ImageFall,
    Reading,
    SurvivalShare,
)
from store.records import PerturbationEffect

FORM_LABELS = {
    DECIDING: "the one that decides",
    "icc11": "ICC(1,1), one-way",
    "icc21": "ICC(2,1), agreement",
    "icc31": "ICC(3,1), consistency",
}
FAMILY_LABELS = {
    "random": "random perturbations",
    "fixed": "fixed settings",
    "resampling": "resampling",
    "readers": "other readers and models",
}


def reproducibility_answer(shares: Sequence[SurvivalShare], reading: Reading, found: Sequence[Family]) -> str:
    """How many features survive, by ROI, how many are constant, and which ROI was not tested."""
    parts, untested, constant = [], [], 0
    for roi in dict.fromkeys(share.roi for share in shares):
        rows = [share for share in shares if share.roi == roi]
        tested, surviving = sum(row.tested for row in rows), sum(row.surviving for row in rows)
        constant += sum(row.constant for row in rows)
        if tested:
            parts.append(f"**{percent(surviving / tested)}** of {roi_label(roi).lower()} ({surviving} of {tested})")
        else:
            untested.append(roi_label(roi).lower())
    said = "Of the features, these survive: " + ", ".join(parts) + "." if parts else "No feature was tested."
    rule = f" To survive, the lower 95 % bound of a feature's ICC must reach {number(reading.threshold)} in "
    rule += f"{_families_said(reading, found)}."
    flat = f" {counted(constant, 'feature')} of them are constant and never survive." if constant else ""
    rest = f" Not tested: {' and '.join(untested)}." if untested else ""
    return f"{said}{rule}{flat}{rest}"


def _families_said(reading: Reading, found: Sequence[Family]) -> str:
    names = [reading.family] if reading.family else [family.family for family in found if family.declared]
    return " and ".join(FAMILY_LABELS.get(name, name) for name in names) or "no family, for none that counts was tested"


def heat_caption(shares: Sequence[SurvivalShare]) -> str:
    """What the heat map counts."""
    tested, untested = sum(s.tested for s in shares), sum(s.not_tested for s in shares)
    left = f"; {untested} were not tested and are blank" if untested else ""
    return f"Share that survives in percent, darker is more; n = {counted(tested, 'feature')}{left}."


def falls_answer(falls: Sequence[ImageFall]) -> str:
    """Which images lose half of their features first, and which last."""
    if not falls:
        return "No image was tested."
    first, last = falls[0], falls[-1]
    lost, kept = (f"({one.surviving} of {one.tested} survive)" for one in (first, last))
    return (
        f"First to fall is **{first.image_type}** of {roi_label(first.roi).lower()} {lost}, last "
        f"**{last.image_type}** of {roi_label(last.roi).lower()} {kept}."
    )


def icc_caption(rows: Sequence[FeatureIcc], family: str, threshold: float) -> str:
    """What the distribution is made of, and how many ICCs rest on a few extreme patients."""
    tested = [row for row in rows if row.icc_lo is not None]
    if not tested:
        return "No feature was tested in this family."
    kinds = " and ".join(dict.fromkeys(row.icc_kind for row in tested))
    patients, masks = max(row.n for row in tested), max(row.k for row in tested)
    flagged = sum(row.disagreement for row in tested)
    said = f" {counted(flagged, 'feature')} disagree with their ICC of ranks or without the most extreme patients."
    return (
        f"{kinds} over {FAMILY_LABELS.get(family, family)}; n = {counted(len(tested), 'feature')}, "
        f"{counted(patients, 'patient')} × {masks} measurements. Dashed: the threshold {number(threshold)}.{said}"
    )


def harm_answer(effects: Sequence[PerturbationEffect]) -> str:
    """Which perturbation by itself takes most features under the threshold, and whether its masks are plausible."""
    usable = [effect for effect in effects if effect.features > 0]
    if not usable:
        return "No perturbation was tested in three patients."
    worst = max(usable, key=lambda effect: effect.below / effect.features)
    odd = sum(effect.implausible for effect in effects)
    plausible = (
        f" {counted(odd, 'mask')} of all perturbations differ so much that nobody would call them another reading of "
        "the same contour; the table says which."
        if odd
        else " No mask differs so much that it could not be another reading of the same contour."
    )
    return (
        f"**{worst.perturbation}** hurts {roi_label(worst.roi).lower()} most: alone it takes {worst.below} of "
        f"{worst.features} features under the threshold.{plausible}"
    )


def harm_caption(effects: Sequence[PerturbationEffect]) -> str:
    """What a bar means."""
    patients = max((effect.n for effect in effects), default=0)
    return (
        f"Each perturbation against the unperturbed value alone; n = {counted(patients, 'patient')} at most. The most "
        "harmful are drawn, all are in the table."
    )


def feature_answer(row: FeatureIcc) -> str:
    """One feature in a sentence: its ICC with interval, its spread within a patient, and what disagrees."""
    if row.icc is None:
        return f"This feature is {row.icc_class.replace('_', ' ')}."
    within = "" if row.within_cv is None else f" Within a patient it varies by {percent(row.within_cv)} of its mean;"
    apart = (
        ""
        if row.repeatability is None
        else f" two measurements of a patient differ by less than {row.repeatability:.3g} in 95 %."
    )
    beside = f" Of ranks {number(row.icc_rank)}, without the most extreme patients {number(row.icc_trimmed)}"
    warning = ": **they disagree**, a few patients carry it." if row.disagreement else "."
    bounds = f"{number(row.icc_lo)} to {number(row.icc_hi)}"
    return f"{row.icc_kind} **{number(row.icc)}** (95 % CI {bounds}, {row.icc_class}).{beside}{warning}{within}{apart}"


def feature_caption(values: Sequence[FeatureValue]) -> str:
    """Whose values the figure of one feature shows."""
    shown, of = len({value.case_id for value in values}), values[0].patients
    which = "" if shown == of else f"; {shown} of them, evenly by that value"
    return f"n = {of} patients, by their unperturbed value (dash){which}. Click a point to see its images."


def downstream_answer(counts: Sequence[ClassCount], reading: Reading, protocol_threshold: float) -> str:
    """How many features the selection may choose from, and that another threshold is only looked at."""
    surviving = sum(count.surviving for count in counts)
    said = f"**{counted(surviving, 'feature')}** would be left for the selection at {number(reading.threshold)}."
    if reading.threshold == protocol_threshold and reading.form == DECIDING and not reading.family:
        return (
            f"**{counted(surviving, 'feature')}** pass on all perturbed patients. Each bootstrap of the selection asks "
            "the same of its own patients, so its set may differ."
        )
    return (
        f"{said} This is a look: the selection goes by the protocol ({number(protocol_threshold)}, every declared "
        "family); change [reproducibility] in study.toml to run it so."
    )
