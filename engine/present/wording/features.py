"""Sentences about features: which survive, which are chosen."""

from __future__ import annotations

from collections.abc import Sequence

from engine.present.colours import roi_label
from engine.present.numbers import counted, interval, number, percent
from store.queries.prognosis import KeptShare
from store.queries.reproducibility import SurvivalShare
from store.queries.study import RunFacts
from store.records import SelectionFrequency, SelectionSize, Stability


def feature_label(image_type: str, feature_class: str, feature: str) -> str:
    """A feature's name in one line, its parts spelled as PyRadiomics spells them."""
    return f"{image_type} {feature_class} {feature}"


def selection_answer(features: Sequence[SelectionFrequency], stability: Sequence[Stability]) -> str:
    """The commonest feature and how alike the kept sets are."""
    if not features:
        return "No feature was kept."
    first = features[0]
    name = feature_label(first.image_type, first.feature_class, first.feature)
    often = sum(row.kept_count * 2 >= row.resamples for row in features)
    count = f"**{counted(often, 'feature')}**" if often else "**No feature**"
    return (
        f"{count} {'was' if often < 2 else 'were'} kept in at least half of the {first.resamples} resamples; the "
        f"commonest is **{name}** ({roi_label(first.roi).lower()}), kept in {first.kept_count}.{_alike(stability)}"
    )


def selection_limits(size: SelectionSize, shares: Sequence[SurvivalShare]) -> str:
    """How many features may be kept, from what, and the regions that the reproducibility filter bars altogether."""
    kept, events = counted(size.kept, "feature"), counted(size.events, "event")
    parameters = counted(size.clinical_parameters, "clinical parameter")
    cap = f"Each resample keeps at most {kept}: {events}, {parameters}."
    if size.icc_filter:
        return f"{cap} Features were not filtered by reproducibility ({size.icc_filter.removeprefix('off: ')})."
    return " ".join([cap, *_barred(shares)])


def _barred(shares: Sequence[SurvivalShare]) -> list[str]:
    """A sentence for each region of which no feature was tested: untested is not reproducible."""
    sentences = []
    for roi in dict.fromkeys(share.roi for share in shares):
        rows = [share for share in shares if share.roi == roi]
        if not any(row.tested for row in rows):
            of_them = counted(sum(row.not_tested for row in rows), "feature")
            sentences.append(
                f"**{roi_label(roi)}** was not tested under perturbed masks: none of its {of_them} may be chosen."
            )
    return sentences


def _alike(stability: Sequence[Stability]) -> str:
    kept = next((row for row in stability if row.step != "mrmr"), stability[0] if stability else None)
    if kept is None:
        return ""
    bounds = interval(kept.lo, kept.hi)
    return f" Stability of the kept sets is **{number(kept.stability)}** (95 % CI {bounds})."


def frequency_caption(features: Sequence[SelectionFrequency], run: RunFacts) -> str:
    """How the bars came about."""
    resamples = features[0].resamples if features else 0
    return (
        f"n = {counted(resamples, 'bootstrap')}, each with its own ICC filter, mRMR ({run.mrmr_features} features) "
        f"and recursive elimination by forests of {run.trees} trees. A frequency is no evidence of prognostic value."
    )


def stability_caption(stability: Sequence[Stability]) -> str:
    """What stability means and what it is estimated from."""
    first = stability[0]
    return (
        f"Nogueira stability with 95 % CI; n = {counted(first.resamples, 'resample')}, "
        f"{counted(first.candidates, 'candidate feature')}."
    )


def roi_share_caption(shares: Sequence[KeptShare]) -> str:
    """How the kept selections fall on the ROIs."""
    total = sum(share.kept for share in shares)
    by_roi = {roi: sum(s.share for s in shares if s.roi == roi) for roi in dict.fromkeys(s.roi for s in shares)}
    parts = [f"{roi_label(roi).lower()} {percent(share)}" for roi, share in by_roi.items()]
    return f"n = {counted(total, 'kept selection')} over all resamples: {', '.join(parts)}."
