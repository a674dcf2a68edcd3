"""The same analysis on other masks: the protocol of such a run, and what of the study's own run it may take over."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from engine.protocol import Protocol
from engine.run.planning import Plan, task_key
from store.ledger import Ledger

MASKS_END = "prognosis"
CHOOSING_STAGE = "review"
MaskSource = Literal["automatic", "reference"]
MASK_ORDERS: dict[MaskSource, tuple[str, ...]] = {  # a structure without such a mask, as lungs may be, takes the next
    "automatic": ("automatic", "reference"),
    "reference": ("reference", "automatic"),
}


def with_mask_source(protocol: Protocol, source: MaskSource) -> Protocol:
    """A protocol whose masks come from one source first, its plan unlocked.

    ValueError for a study of a table, for masks that are the study's own choice, for automatic masks without a model.
    """
    if protocol.study.kind != "images":
        raise ValueError("--masks needs a study of images: imported features have the masks they were taken from")
    if protocol.masks.feature_mask_order[:1] == (source,):
        raise ValueError(f"--masks {source} is the study's own choice (masks.feature_mask_order); name another")
    if source == "automatic" and not protocol.segment.model:
        raise ValueError("--masks automatic needs segment.model: this study has no automatic tumour masks")
    masks = protocol.masks.model_copy(update={"feature_mask_order": MASK_ORDERS[source]})
    plan = protocol.plan.model_copy(update={"locked_at": "", "protocol_sha256": "", "locked_by": ""})
    return protocol.model_copy(update={"masks": masks, "plan": plan})


def with_shared_masks(plan: Plan, own: Protocol, ledger: Ledger) -> Plan:
    """The plan in which every case whose masks are byte for byte the study's own counts as those.

    What follows from them is then found under the study's own keys and computed only where a mask differs. RuntimeError
    where the study's own masks were not chosen yet: keys must not depend on which run came first.
    """
    stage = next(stage for stage in plan.pipeline if stage.name == CHOOSING_STAGE)
    as_own = replace(plan, protocol=own)
    same = {}
    for unit, key, state in ledger.placed(plan.run_id, stage.name):
        theirs = task_key(as_own, stage, unit, ledger)
        if state == "done" and ledger.state_of(theirs) != "done":
            raise RuntimeError("the study's own run is not up to date; `run` it without --masks first")
        if state == "done" and ledger.contents(key) == ledger.contents(theirs):
            same[key] = theirs
    return replace(plan, same_as=same)
