"""What pages and routes may do: each action asks for its role first, and what changes something or shows a patient's
images is written to the audit. Pages call these functions and no other that changes anything."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from engine.acquire.check import CheckResult
from engine.acquire.pseudonyms import read_links
from engine.acquire.uploads import (
    ColumnFacts,
    TableCheck,
    accept_images,
    accept_table,
    check_table,
    check_upload,
    column_facts,
    discard,
    stage_archive,
    stage_files,
    stage_table,
)
from engine.protocol import PROTOCOL_FILE, Covariates, Outcome, read_protocol
from engine.run.choices import change_choices
from engine.run.launch import cancel, launch, launch_self_test, launch_training
from engine.run.paperwork import retention_note
from engine.run.plan_lock import lock_plan
from engine.run.removal import Withdrawn
from engine.run.runner import run_lock
from engine.run.signature import Signature, take_signature
from engine.run.withdrawal import withdraw
from store.access import Person, authorise, record_action, set_account
from store.audit import AuditLine, audit_lines
from store.known_cases import knows_case
from store.layout import StudyFolder
from store.tombstones import listed_withdrawals, tombstones

EARLIER, UNKNOWN_CASE = "earlier CT", "unknown case"  # in the audit


@dataclass(frozen=True, slots=True)
class TableMapping:
    """Which columns of an uploaded table say what."""

    id_column: str
    outcome: Outcome
    covariates: Covariates


def start_run(study: Path, person: Person) -> None:
    """Start a run that survives browser and app; errors as `launch`."""
    authorise(study, person, "start run")
    launch(study)
    record_action(study, person, "start run")


def bring_up_to_date(study: Path, person: Person) -> None:
    """Let what was signed enter the numbers: a run with the study's own choices; errors as `launch`."""
    authorise(study, person, "bring up to date")
    launch(study)
    record_action(study, person, "bring up to date")


def cancel_run(study: Path, person: Person) -> bool:
    """Stop the run of a study; False when none was alive."""
    authorise(study, person, "cancel run")
    stopped = cancel(study)
    record_action(study, person, "cancel run")
    return stopped


def start_training(study: Path, person: Person, strategy: str) -> None:
    """Start the training of one strategy or of all; errors as `launch`."""
    authorise(study, person, "train")
    launch_training(study, strategy)
    record_action(study, person, "train", strategy)


def start_self_test(study: Path, person: Person) -> None:
    """Start the self-test on permuted outcomes; errors as `launch`."""
    authorise(study, person, "start run")
    launch_self_test(study)
    record_action(study, person, "start run", "self-test")


def take_list(study: Path, person: Person, count: int, run_id: str) -> Signature:
    """The features that a run kept most often, marked as taken; errors as `take_signature`."""
    authorise(study, person, "take list")
    taken = take_signature(study, count, run_id)
    record_action(study, person, "take list", f"{count} features")
    return taken


def change_the_choices(study: Path, person: Person, section: str, values: Mapping[str, object]) -> tuple[str, ...]:
    """Write choices into study.toml; returns what changed; errors as `change_choices`."""
    authorise(study, person, "change choices")
    fields = change_choices(study, section, values)
    if fields:
        given = {name: values[name.partition(".")[2]] for name in fields}
        record_action(study, person, "change choices", "; ".join(f"{name} = {value}" for name, value in given.items()))
    return fields


def lock_the_plan(study: Path, person: Person) -> str:
    """Freeze the analysis plan; returns its hash."""
    authorise(study, person, "lock plan")
    plan = lock_plan(study, person.role)
    record_action(study, person, "lock plan", plan.protocol_sha256)
    return plan.protocol_sha256


def note_images_seen(study: Path, person: Person, case_id: str, which: str = "") -> None:
    """Ask whether a person may see a case's images, and record that he does; `which`: others than its index series."""
    authorise(study, person, "view images")
    record_action(study, person, "view images", f"{case_id}: {which}" if which else case_id)


def name_patient(study: Path, person: Person, case_id: str, reason: str) -> str:
    """The patient behind a case, where this computer holds the private folder.

    ValueError without a reason, and for a case that the study does not know.
    """
    authorise(study, person, "name patient")
    if len(reason.strip()) < 3:
        raise ValueError("give the reason (--reason): the audit keeps it")
    _refuse_unknown(study, person, "name patient", case_id)
    record_action(study, person, "name patient", f"{case_id}: {reason}")
    patient = read_links(study).get(case_id)
    if patient is None:
        raise ValueError("the way back to this patient is not on this computer")
    return patient


def withdraw_patient(study: Path, person: Person, case_id: str, reason: str) -> Withdrawn:
    """Remove a patient from everything the study holds; errors as `withdraw`, ValueError for an unknown case."""
    authorise(study, person, "withdraw patient")
    _refuse_unknown(study, person, "withdraw patient", case_id)
    return withdraw(study, case_id, person.name, reason)


def _refuse_unknown(study: Path, person: Person, action: str, case_id: str) -> None:
    """ValueError for a case of which nothing here knows: it may be a name, so it is written nowhere and not repeated.

    The error is for the eyes of whoever typed it: where it is the id of a patient, it gives his case id.
    """
    links = read_links(study)
    if case_id in links or case_id in listed_withdrawals(study) or knows_case(study, case_id):
        return
    if (study / PROTOCOL_FILE).exists():
        record_action(study, person, action, UNKNOWN_CASE)
    meant = [case for case, patient in links.items() if patient.casefold() == case_id.strip().casefold()]
    if meant:
        raise ValueError(f"this is the id of a patient; nothing was done. Give the case id: {' or '.join(meant)}")
    raise ValueError("this study knows no such case; nothing was done. Give a case id as the pages or `check` show it")


def custody_notes(study: Path, person: Person) -> tuple[str, ...]:
    """What everybody who sees the study should know: patients who withdrew, and a date of deletion that is near."""
    authorise(study, person, "view study")
    gone = tombstones(study)
    last = gone[-1].at[:10] if gone else ""
    people = f"{len(gone)} patient{'s' if len(gone) > 1 else ''}"
    notes = [f"{people} withdrew, last on {last}; results that had used them were removed."] if gone else []
    if (study / PROTOCOL_FILE).exists():
        today = datetime.now(UTC).date().isoformat()
        notes.append(retention_note(read_protocol(study).governance, today))
    return tuple(note for note in notes if note)


def see_audit(study: Path, person: Person, last: int = 50) -> tuple[AuditLine, ...]:
    """The newest lines of the audit."""
    authorise(study, person, "see audit")
    return audit_lines(study, last)


def give_role(study: Path, person: Person, name: str, role: str) -> None:
    """Give a name a role in the study, or take it away with an empty one."""
    authorise(study, person, "set accounts")
    set_account(study, name, role, person.name)


def take_archive(study: Path, person: Person, stream: IO[bytes]) -> str:
    """Take an uploaded archive in, apart from the study; returns its token."""
    authorise(study, person, "upload images")
    return stage_archive(study, stream)


def take_files(study: Path, person: Person, files: Iterable[tuple[str, IO[bytes], int]]) -> str:
    """Take the files of an uploaded folder in, apart from the study; returns their token."""
    authorise(study, person, "upload images")
    return stage_files(study, files)


def judge_upload(study: Path, person: Person, token: str) -> CheckResult:
    """What the gate says to an upload."""
    authorise(study, person, "upload images")
    return check_upload(study, token)


def keep_images(study: Path, person: Person, token: str) -> None:
    """Move an upload that the gate lets in into the study."""
    authorise(study, person, "upload images")
    count = len(list(accept_images(study, token).rglob("*")))
    record_action(study, person, "upload images", f"{count} files")


def drop_upload(study: Path, person: Person, token: str) -> None:
    """Remove an upload."""
    authorise(study, person, "upload images")
    discard(study, token)


def take_table(study: Path, person: Person, raw: bytes) -> str:
    """Take an uploaded table in, apart from the study; returns its token."""
    authorise(study, person, "upload table")
    return stage_table(study, raw)


def describe_table(study: Path, person: Person, token: str) -> tuple[ColumnFacts, ...]:
    """The columns of an uploaded table, without a cell of them."""
    authorise(study, person, "upload table")
    return column_facts(study, token)


def judge_table(study: Path, person: Person, token: str, mapping: TableMapping) -> TableCheck:
    """What the gate says to an uploaded table with a mapping."""
    authorise(study, person, "upload table")
    return check_table(study, token, mapping.id_column, mapping.outcome, mapping.covariates)


def keep_table(study: Path, person: Person, token: str, mapping: TableMapping) -> None:
    """Make an uploaded table the study's clinical table; RuntimeError while a run goes on, ValueError once locked."""
    authorise(study, person, "upload table")
    with run_lock(StudyFolder(study)):
        accept_table(study, token, mapping.id_column, mapping.outcome, mapping.covariates)
    record_action(study, person, "upload table", f"{len(mapping.covariates.columns)} covariates")
