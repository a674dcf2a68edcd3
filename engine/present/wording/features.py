"""Sentences about features: which survive, which are chosen."""

from __future__ import annotations

import json
from collections.abc import Sequence

from engine.present.colours import roi_label
from engine.present.numbers import counted, interval, number, percent
from store.queries.prognosis import KeptShare
from store.queries.reproducibility import SurvivalShare
from store.queries.selection import FrequencyAtSize, SharedTop
from store.queries.study import RunFacts
from store.records import ColumnState, FeatureGroup, SelectionFrequency, SelectionSize, SizeStability, Stability


def feature_label(image_type: str, feature_class: str, feature: str) -> str:
    """A feature's name in one line, its parts spelled as PyRadiomics spells them."""
    return f"{image_type} {feature_class} {feature}"


def two_line_label(image_type: str, feature_class: str, feature: str) -> str:
    """The same over two lines, for the axis of a figure that must also fit a laptop."""
    return f"{image_type} {feature_class}<br>{feature}"


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


def group_answer(groups: Sequence[FeatureGroup]) -> str:
    """The group kept most often: where features stand for each other, no single one is kept often."""
    first = [group for group in groups if group.group == 1]
    if len(first) < 2:
        return ""
    best = first[0]
    name = feature_label(best.image_type, best.feature_class, best.feature)
    return (
        f"Features that stand for each other share their turns: **one of {len(first)} features like {name}** was kept "
        f"in {best.group_count} of {best.resamples} ({percent(best.group_count / max(1, best.resamples))})."
    )


def group_caption(groups: Sequence[FeatureGroup], threshold: float) -> str:
    """What the groups and the map are made of."""
    found = len({group.group for group in groups})
    return (
        f"n = {counted(len(groups), 'feature')} kept most often in {counted(found, 'group')} (|ρ| over patients about "
        f"{number(threshold)} or more, average linkage; numbers beside the names). How often mRMR took two "
        f"together: blue, they take turns; orange, they come together."
    )


def size_caption(sizes: Sequence[SizeStability]) -> str:
    """What stability at other sizes is made of."""
    resamples = sizes[0].resamples if sizes else 0
    return (
        f"n = {counted(resamples, 'resample')}; bands: 95 % CI. mRMR's first K features, and the k that recursive "
        f"elimination would have kept, from the same resamples."
    )


def by_size_caption(rows: Sequence[FrequencyAtSize]) -> str:
    """What the shares by size are made of."""
    resamples = rows[0].resamples if rows else 0
    return f"n = {counted(resamples, 'resample')}. Share in which mRMR had taken the feature by its K-th step."


def shared_answer(shared: SharedTop, first: str, second: str) -> str:
    """How much two sets of choices agree on."""
    if not shared.size:
        return "One of the two runs kept no feature."
    return f"Of the {shared.size} features kept most often, **{shared.shared}** are the same in {first} and {second}."


def protocol_differences(first: str, second: str) -> list[tuple[str, str, str]]:
    """Choices that differ between two protocols in JSON: section.field and both values; title and lock left out."""
    mine, theirs = json.loads(first), json.loads(second)
    found = []
    for section in mine:
        for field, value in mine[section].items():
            other = theirs.get(section, {}).get(field)
            if (
                value != other
                and section != "plan"
                and (section, field) not in (("study", "name"), ("study", "notice"))
            ):
                found.append((f"{section}.{field}", _plain(value), _plain(other)))
    return found


def _plain(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return "none" if value in (None, "") else str(value)


def columns_answer(states: Sequence[ColumnState]) -> str:
    """How many columns of an imported table are features."""
    left_out = [state for state in states if state.state != "feature"]
    return f"{counted(len(states) - len(left_out), 'feature')} of {counted(len(states), 'column')}"


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
        f"n = {counted(resamples, 'bootstrap')}, each with its own ICC filter, mRMR ({run.schemes}, "
        f"{run.mrmr_features} features) and recursive elimination by forests of {run.trees} trees. A frequency is no "
        f"evidence of prognostic value."
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
