"""Sentences about a model made elsewhere: whether it holds on these patients."""

from __future__ import annotations

from collections.abc import Sequence

from engine.present.colours import plain_model
from engine.present.numbers import counted, interval, number, percent
from store.records import CarriedModel, ExternalAspect, ExternalSummary

CHANCE = 0.5
WIDEST_TELLING_INTERVAL = 0.30  # AUC: a wider interval holds chance and a useful model alike
LEADING = ("combined", "radiomic", "clinical_volume", "clinical")


def leading(summaries: Sequence[ExternalSummary]) -> ExternalSummary:
    """The arm to lead with: combined, else radiomic, else clinical."""
    order = [row for name in LEADING for row in summaries if row.model == name]
    return (order or list(summaries))[0]


def verdict(row: ExternalSummary) -> str:
    """Whether an arm discriminates on patients it has not seen, by DeLong's interval."""
    if row.auc_lo > CHANCE:
        return "Transfers"
    if row.auc_hi < CHANCE:
        return "Fails to transfer: worse than chance here"
    if row.auc_hi - row.auc_lo > WIDEST_TELLING_INTERVAL:
        return "Too few patients to tell whether it transfers"
    return "Fails to transfer: no better than chance here"


def external_answer(summaries: Sequence[ExternalSummary]) -> str:
    """The verdict on the leading arm with its AUC here and where it was made, and how far its risks are off."""
    row = leading(summaries)
    made = "" if row.internal_auc is None else f", {number(row.internal_auc)} out of bag where it was made"
    return (
        f"**{verdict(row)}.** {plain_model(row.model).capitalize()}: AUC {number(row.auc)} "
        f"(95 % CI {interval(row.auc_lo, row.auc_hi)}){made}; predicted risk {percent(row.mean_risk)}, observed "
        f"{percent(row.observed)}; n = {row.n}, {counted(row.events, 'event')}."
    )


def carried_caption(carried: CarriedModel) -> str:
    """Where the model comes from."""
    return f"Model made on {carried.study} (n = {carried.n}, {counted(carried.events, 'event')})."


def differences(aspects: Sequence[ExternalAspect]) -> str:
    """What the model was not made for, or may not have been, for the banner; empty when nothing differs."""
    found = [
        f"{row.aspect}: not declared on either side"
        if row.made_for == row.tested_on
        else f"{row.aspect}: made for {row.made_for}, tested on {row.tested_on}"
        for row in aspects
        if row.differs
    ]
    if not found:
        return ""
    known = any(row.differs and row.made_for != row.tested_on for row in aspects)
    title = "Not what it was made for." if known else "Whether it was made for this is not known."
    return f"**{title}** {'; '.join(found)}."


def external_caption(summaries: Sequence[ExternalSummary]) -> str:
    """What the bars mean."""
    row = summaries[0]
    return (
        f"n = {row.n} ({counted(row.events, 'event')}; effective n {number(row.effective_n, 0)}), none of them "
        "recognised among those who trained the model. Bars: 95 % CI (DeLong, logit scale); open points: out-of-bag "
        "AUC where it was made. Dashed: chance."
    )
