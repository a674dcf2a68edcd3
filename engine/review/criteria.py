"""What the words none, minor, major and missed mean, and whether an actual edit agrees with the word."""

from __future__ import annotations

import numpy as np

from engine.metrics.overlap import volumetric_dsc
from engine.protocol import Review
from store.records import DrawnMask
from store.reviews import Edit
from store.volumes import Mask

REASONS = (
    "vessel",
    "chest wall",
    "mediastinum",
    "atelectasis",
    "ground glass",
    "cavity",
    "wrong lesion",
    "extra lesion",
    "image quality",
)


def measured_edit(drawn: Mask, parent: Mask | None) -> Edit:
    """How a drawn mask differs from the one it was drawn from; a blank canvas has no parent and only voxels."""
    if parent is None:
        return Edit(int(drawn.voxels.sum()), None, None)
    changed = int(np.count_nonzero(drawn.voxels ^ parent.voxels))
    before, after = int(parent.voxels.sum()), int(drawn.voxels.sum())
    volume = None if before == 0 else 100.0 * (after - before) / before
    return Edit(changed, volumetric_dsc(parent.voxels, drawn.voxels), volume)


def word_for(edit: DrawnMask, rules: Review) -> str:
    """The word that the protocol has for an edit: minor or major; missed where the parent shares nothing with it."""
    if edit.edit_dsc is None or edit.edit_dsc == 0:
        return "missed"
    volume = edit.volume_change_percent
    small = volume is not None and abs(volume) < rules.minor_volume_percent
    return "minor" if edit.edit_dsc >= rules.minor_dsc and small else "major"


def criteria_text(rules: Review) -> str:
    """The protocol's words on screen."""
    return (
        "**None**: may be measured as it is. "
        f"**Minor**: the corrected mask has DSC ≥ {rules.minor_dsc:g} to the automatic one and its volume changes by "
        f"less than {rules.minor_volume_percent:g} %. **Major**: more than that. "
        "**Missed**: nothing, or another lesion, was outlined."
    )


def contradiction(judgement: str, edit: DrawnMask | None, rules: Review) -> str:
    """What the measured edit says against a judgement; empty where they agree, or nothing was drawn."""
    if edit is None or not judgement or word_for(edit, rules) == judgement:
        return ""
    dsc = "no overlap" if not edit.edit_dsc else f"DSC {edit.edit_dsc:.2f}"
    volume = "" if edit.volume_change_percent is None else f", volume {edit.volume_change_percent:+.0f} %"
    return f"By the protocol this correction is **{word_for(edit, rules)}** ({dsc}{volume}), not {judgement}."
