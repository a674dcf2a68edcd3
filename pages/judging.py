"""The strip over the images on which a reader judges: word, reason, comment, signature; drafts keep themselves."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import streamlit as st

from engine.present.numbers import moment
from engine.present.wording.segmentation import JUDGEMENTS as SAID
from engine.protocol import Review
from engine.review.criteria import REASONS, contradiction
from engine.review.grants import session_digest
from engine.review.judged import drawings_to_take, names_a_mask
from engine.run.drawing import drawn_over, measured_now
from engine.run.reading_desk import (
    adopt_mask,
    keep_words,
    leave_signed,
    reopen_reading,
    sign_reading,
    undo_correction,
)
from pages.reader import Reader
from store.access import Person
from store.queries.reviews import change_begun, read_draft, review_state
from store.records import DRAWN, JUDGEMENTS, DrawnMask, Verdict
from store.reviews import ADJUDICATOR, Draft, Reading, UnsignedError

WORDS = {"none": "None", "minor": "Minor", "major": "Major", "missed": "Missed"}
KEYS = {"none": "1", "minor": "2", "major": "3", "missed": "4"}
NO_REASON = ""
SIGN_KEY = "mod+enter"
NAMES_NO_MASK = (
    "Not signed: an adjudication names the mask that is measured: take a reader's mask, or draw and save one; None "
    "names the automatic mask."
)
OTHER_MASK = (
    "Your word **{word}** is of another automatic mask than the one on screen: the mask changed, or you chose the word "
    "before the app noted of which mask it is. Look at this one and choose again."
)
FORMER_MASK = (
    "{whose} was begun over another automatic mask than the one on screen: the mask changed. The numbers compare it "
    "with the one on screen; look whether it still stands."
)
NOT_SAVED = "You drew and did not save: press Save mask, or undo the strokes, then sign."


@dataclass(frozen=True, slots=True)
class Judging:
    """One reading on screen: whose, in which role, of which mask, signed before, drawn, drawn and not saved."""

    study: Path
    person: Person
    reader: Reader
    reading: Reading
    role: str
    mask_key: str
    before: Verdict | None
    drawn: DrawnMask | None
    unsaved: bool
    rules: Review

    @property
    def key(self) -> str:
        """Of widgets: one set a reading; keys reach the browser, so they name no case."""
        return session_digest(repr(self.reading.place))[:12]

    @property
    def changing(self) -> bool:
        """Whether the reader has begun to change what he signed, in whatever tab or session."""
        return self.before is not None and change_begun(self.study, self.reading)


@st.cache_data(max_entries=64, show_spinner="Measuring the correction")
def measured(study: Path, run_id: str, edit: DrawnMask, judged: str) -> DrawnMask:
    """A correction with its numbers to the automatic mask that is judged, which the key tells."""
    del judged
    return measured_now(study, run_id, edit)


def judge(judging: Judging) -> bool:
    """Show the strip; True when the reader has just signed."""
    kept = read_draft(judging.study, judging.reading)
    if judging.before is not None and not judging.changing:
        _signed(judging)
        return False
    draft = _on_this_mask(kept, judging.mask_key)
    if draft != kept:
        st.warning(OTHER_MASK.format(word=WORDS[kept.judgement]))
    with st.container(horizontal=True, vertical_alignment="bottom", gap="xsmall", key="judging-strip"):
        for word in JUDGEMENTS:
            _word(judging, draft, word)
        _reason(judging, draft)
        _comment(judging, draft)
        amends = _why(judging) if judging.before is not None else ""
        pressed = st.button("Sign", key=f"sign-{judging.key}", type="primary", shortcut=SIGN_KEY)
        if judging.before is not None:
            _leave(judging)
    if judging.role == ADJUDICATOR:
        _takeable(judging, draft)
    _about_edit(judging, draft)
    return pressed and _sign(judging, draft, amends)


def contour(judging: Judging) -> bool:
    """Show the signature of a blank canvas; True when the reader has just signed his contour."""
    draft = read_draft(judging.study, judging.reading)
    if judging.before is not None and not judging.changing:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"You signed your contour on {moment(judging.before.signed_at)}.")
            _change(judging, judging.before)
        return False
    if not draft.drawn_key:
        st.caption(
            "Draw the index lesion and save it, or import a file; then sign. No automatic outline is shown here."
        )
        return False
    amends = _why(judging) if judging.before is not None else ""
    pressed = st.button("Sign this contour", key=f"sign-{judging.key}", type="primary", shortcut=SIGN_KEY)
    if judging.before is not None:
        _leave(judging)
    return pressed and _sign(judging, Draft(DRAWN, "", "", draft.drawn_key, draft.active_seconds), amends)


def _on_this_mask(draft: Draft, mask_key: str) -> Draft:
    """A draft without its word where that was chosen on another automatic mask: it is not signed for this one."""
    return draft if draft.mask_key == mask_key or not draft.judgement else replace(draft, judgement="")


def _word(judging: Judging, draft: Draft, word: str) -> None:
    """One judgement as a button with its key; choosing keeps the draft."""
    st.button(
        WORDS[word],
        key=f"word-{word}-{judging.key}",
        type="primary" if draft.judgement == word else "secondary",
        shortcut=KEYS[word],
        on_click=_choose,
        args=(judging, "" if draft.judgement == word else word),
    )


def _choose(judging: Judging, word: str) -> None:
    """Keep a word, as one on the automatic mask that stood beside its button."""
    draft = read_draft(judging.study, judging.reading)
    said = replace(draft, judgement=word, mask_key=judging.mask_key if word else "")
    keep_words(judging.study, judging.person, judging.reading, said)


def _reason(judging: Judging, draft: Draft) -> None:
    """The reason of the draft, as it is now in whatever tab; a choice is kept at once."""
    reasons, key = (NO_REASON, *REASONS), f"reason-{judging.key}"
    _follow(key, draft.reason if draft.reason in reasons else NO_REASON)
    st.selectbox(
        "Reason",
        reasons,
        key=key,
        on_change=_keep_reason,
        args=(judging, key),
        width=150,
        placeholder="Reason",
        label_visibility="collapsed",
    )


def _comment(judging: Judging, draft: Draft) -> None:
    key = f"comment-{judging.key}"
    _follow(key, draft.comment)
    st.text_input(
        "Comment",
        key=key,
        on_change=_keep_comment,
        args=(judging, key),
        width=200,
        placeholder="Comment",
        label_visibility="collapsed",
    )


def _follow(key: str, value: str) -> None:
    """A field shows what the draft holds: what is signed is what stands there."""
    if st.session_state.get(key) != value:
        st.session_state[key] = value


def _keep_reason(judging: Judging, key: str) -> None:
    draft = read_draft(judging.study, judging.reading)
    said = replace(draft, reason=st.session_state[key] or NO_REASON)
    keep_words(judging.study, judging.person, judging.reading, said)


def _keep_comment(judging: Judging, key: str) -> None:
    draft = read_draft(judging.study, judging.reading)
    said = replace(draft, comment=st.session_state[key] or "")
    keep_words(judging.study, judging.person, judging.reading, said)


def _why(judging: Judging) -> str:
    text = st.text_input(
        "Why it changes",
        key=f"amends-{judging.key}",
        width=220,
        placeholder="Why it changes (required)",
        label_visibility="collapsed",
    )
    return str(text or "").strip()


def _leave(judging: Judging) -> None:
    """The way out of a change: what was signed stands."""
    args = (judging.study, judging.person, judging.reading)
    st.button("Leave it", key=f"leave-{judging.key}", type="tertiary", on_click=leave_signed, args=args)


def _takeable(judging: Judging, draft: Draft) -> None:
    """Which mask the adjudication names so far, and the drawings of others, each one click away."""
    rows = review_state(judging.study).verdicts
    offered = drawings_to_take(rows, judging.reading.case_id, judging.mask_key, judging.reader.name)
    with st.container(horizontal=True, vertical_alignment="center", key="judging-takeable"):
        st.markdown(f"The mask that your signature names: **{_named(judging, draft)}**.")
        for number, word in enumerate(offered):
            st.button(
                f"Take {word.reader}'s mask",
                key=f"take-{number}-{judging.key}",
                on_click=adopt_mask,
                args=(judging.study, judging.person, judging.reading, word.drawn_key),
                disabled=judging.unsaved or word.drawn_key == draft.drawn_key,
                help="Save or undo your strokes first." if judging.unsaved else None,
                type="tertiary",
            )


def _named(judging: Judging, draft: Draft) -> str:
    if draft.drawn_key and judging.drawn is not None:
        return _whose(judging, judging.drawn)
    return "the automatic one" if names_a_mask(draft.judgement, draft.drawn_key) else "none yet"


def _whose(judging: Judging, edit: DrawnMask) -> str:
    return "your correction" if edit.reader == judging.reader.name else f"{edit.reader}'s correction"


def _about_edit(judging: Judging, draft: Draft) -> None:
    """What was drawn, what the protocol calls it, and the way back."""
    if judging.drawn is None:
        return
    edit, whose = judging.drawn, _whose(judging, judging.drawn)
    whose = f"{whose[0].upper()}{whose[1:]}"
    share = "" if edit.edit_dsc is None else f", DSC {edit.edit_dsc:.2f} to the automatic mask"
    volume = "" if edit.volume_change_percent is None else f", volume {edit.volume_change_percent:+.1f} %"
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(
            f"{whose} is version {edit.version}: {edit.volume_ml:.1f} ml, {edit.changed_voxels} "
            f"voxels changed{share}{volume}."
        )
        undo = (judging.study, judging.person, judging.reading)
        st.button(
            "Undo the correction", key=f"undo-{judging.key}", on_click=undo_correction, args=undo, type="tertiary"
        )
    if drawn_over(review_state(judging.study).drawn, edit.drawn_key) != judging.mask_key:
        st.warning(FORMER_MASK.format(whose=whose))
    warning = contradiction(draft.judgement, edit, judging.rules)
    if warning:
        st.warning(warning)


def _sign(judging: Judging, draft: Draft, amends: str) -> bool:
    """Sign the draft; says what is missing where it cannot be signed."""
    missing = what_is_missing(draft, judging, amends)
    if missing:
        st.error(missing)
        return False
    verdict = Verdict(
        case_id=judging.reading.case_id,
        structure=judging.reading.structure,
        reader=judging.reader.name,
        judgement=draft.judgement,
        reason=draft.reason,
        comment=draft.comment.strip(),
        active_seconds=round(draft.active_seconds, 1),
        signed_at="",
        mask_key="" if draft.judgement == DRAWN else judging.mask_key,
        role=judging.role,
        mode=judging.reading.mode,
        reading=judging.reading.reading,
        amends=amends,
        drawn_key=draft.drawn_key,
        identity=judging.reader.identity,
    )
    try:
        sign_reading(judging.study, judging.person, verdict)
    except UnsignedError as error:
        st.error(f"Not signed: {error}.")
        return False
    return True


def what_is_missing(draft: Draft, judging: Judging, amends: str) -> str:
    """Why a draft cannot be signed yet, in words; empty when it can."""
    if judging.unsaved:
        return NOT_SAVED
    if not draft.judgement:
        return "Not signed: choose None, Minor, Major or Missed first."
    if draft.judgement == "none" and draft.drawn_key:
        return (
            "Not signed: you corrected the mask, so its judgement is not None; undo the correction or choose another."
        )
    if draft.judgement not in ("none", DRAWN) and not draft.reason:
        return "Not signed: choose the reason for the correction."
    if judging.role == ADJUDICATOR and not names_a_mask(draft.judgement, draft.drawn_key):
        return NAMES_NO_MASK
    if judging.before is not None and not amends:
        return "Not signed: say why the signed verdict changes."
    return ""


def _signed(judging: Judging) -> None:
    """What was signed, and the way to change it."""
    before = judging.before
    if before is None:
        return
    words = ", ".join(part for part in (SAID[before.judgement], before.reason, before.comment) if part)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"You signed on {moment(before.signed_at)}: correction needed: **{words}**.")
        if before.mask_key and before.mask_key != judging.mask_key:
            st.markdown(":orange-badge[The automatic mask has changed since]")
        _change(judging, before)


def _change(judging: Judging, before: Verdict) -> None:
    """The way to change what was signed; it begins from what that says, without what was drawn over an earlier mask."""
    if st.button("Change it", key=f"again-{judging.key}", type="tertiary"):
        outdated = before.judgement != DRAWN and before.mask_key != judging.mask_key
        reopen_reading(judging.study, judging.person, replace(before, drawn_key="") if outdated else before)
        st.rerun()
