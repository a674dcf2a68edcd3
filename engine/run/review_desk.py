"""What the review pages do to a study: rules of a run, signing, drafts, time. Each is one action of the store."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from engine.protocol import Protocol
from engine.review.reading_list import blank_sample, kept_order, study_order
from engine.run.ticket import run_protocol
from store.reading_orders import cases_shown, extend_reading_order, note_words_shown, order_now
from store.records import Verdict
from store.reviews import (
    BLANK_CANVAS,
    READER_STUDY,
    Draft,
    Reading,
    drop_change,
    drop_drawing,
    open_ledger,
    reading_order,
    reopen,
    save_draft,
    sign,
    store_reading_order,
    take_drawing,
    touch,
)


def protocol_of(study: Path, run_id: str) -> Protocol:
    """The protocol that a run was started with; KeyError for an unknown run."""
    with open_ledger(study) as ledger:
        return run_protocol(ledger, run_id)


def begin_order(
    study: Path, protocol: Protocol, mode: str, reader: str, cases: Sequence[str]
) -> tuple[tuple[str, int], ...]:
    """A reader's stored order of a reader study or of the blank canvas, without cases that have left the run.

    Drawn and stored the first time. Cases that came later are read once each at the end of a reader study, in random
    order; the sample of the blank canvas stays as it was drawn, of cases whose outline he had
    not seen; one that he meets elsewhere before he contours it drops out.
    """
    if mode not in (READER_STUDY, BLANK_CANVAS):
        return ()
    seed, rules = protocol.study.seed, protocol.review
    with open_ledger(study) as ledger:
        stored = reading_order(ledger, reader, mode)
        new = sorted(set(cases) - {case for case, _ in stored})
        if not stored and mode == READER_STUDY:
            store_reading_order(ledger, reader, mode, study_order(cases, reader, seed, rules.repeat_share))
        elif not stored:
            sample = blank_sample(cases, seed, rules.blank_canvas_cases, cases_shown(ledger, reader))
            if sample:
                store_reading_order(ledger, reader, mode, sample)
        elif mode == READER_STUDY and new:
            extend_reading_order(ledger, reader, mode, study_order(new, reader, seed, 0.0))
        return kept_order(order_now(ledger, reader, mode), cases)


def keep_draft(study: Path, reading: Reading, words: Draft) -> None:
    """Autosave what a reader has said so far, with the key of the automatic mask that his word is of."""
    with open_ledger(study) as ledger:
        save_draft(ledger, reading, words.judgement, words.reason, words.comment, words.mask_key)


def undo_drawing(study: Path, reading: Reading) -> None:
    """Judge the mask as it was again; the saved version stays in the history."""
    with open_ledger(study) as ledger:
        drop_drawing(ledger, reading)


def take_over(study: Path, reading: Reading, drawn_key: str) -> None:
    """Adjudicate with the drawing of a reader; errors as `take_drawing`."""
    with open_ledger(study) as ledger:
        take_drawing(ledger, reading, drawn_key)


def change_signed(study: Path, verdict: Verdict) -> None:
    """Begin a change of a signed verdict from what it says."""
    with open_ledger(study) as ledger:
        reopen(ledger, verdict)


def keep_signed(study: Path, reading: Reading) -> None:
    """Give up the change of a signed verdict."""
    with open_ledger(study) as ledger:
        drop_change(ledger, reading)


def sign_of_life(study: Path, reading: Reading, idle_seconds: float) -> None:
    """Count the time since the reader's last sign of life, unless he was idle."""
    with open_ledger(study) as ledger:
        touch(ledger, reading, time.time(), idle_seconds)


def show_words(study: Path, reader: str, case_id: str, mask_key: str) -> None:
    """Keep that a reader is shown what others said of a mask: what he says of it from now on is not unaware."""
    with open_ledger(study) as ledger:
        note_words_shown(ledger, reader, case_id, mask_key)


def sign_verdict(study: Path, verdict: Verdict) -> Verdict:
    """Sign a verdict; UnsignedError says what is missing."""
    with open_ledger(study) as ledger:
        return sign(ledger, verdict)
