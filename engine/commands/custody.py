"""Commands for whoever holds a study's data: who a case is, withdrawal, audit, accounts, copies, papers, imports."""

from __future__ import annotations

import dataclasses
import getpass
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from engine.acquire.archive import unpack
from engine.acquire.dicomweb import Archive, fetch_studies
from engine.commands.arguments import AsJson, Directory
from engine.present.numbers import counted
from engine.protocol import read_protocol
from engine.run.deidentified import write_deidentified
from engine.run.paperwork import retention_note, write_paperwork
from engine.service import give_role, name_patient, see_audit, withdraw_patient
from store.access import ROLES, Person, accounts, authorise, record_action
from store.audit import verify_audit
from store.backup import back_up

custody_app = typer.Typer(no_args_is_help=True)
audit_app = typer.Typer(no_args_is_help=True, help="The chained audit of a study.")
account_app = typer.Typer(no_args_is_help=True, help="Who may do what in a study.")
import_app = typer.Typer(no_args_is_help=True, help="Images from an archive file or a DICOMweb server.")
custody_app.add_typer(audit_app, name="audit")
custody_app.add_typer(account_app, name="account")
custody_app.add_typer(import_app, name="import")

Case = Annotated[str, typer.Argument(help="a case id, as the pages show it")]
Reason = Annotated[str, typer.Option(help="why; the audit keeps it")]


def operator() -> Person:
    """Whoever holds the study's files on this computer is its administrator."""
    return Person(getpass.getuser(), "administrator", "command line")


@custody_app.command()
def whois(directory: Directory, case: Case, reason: Reason) -> None:
    """The patient behind a case; only where the private folder is, with a reason, audited."""
    typer.echo(name_patient(directory, operator(), case, reason))


@custody_app.command("withdraw")
def withdraw_command(directory: Directory, case: Case, reason: Reason) -> None:
    """Remove a patient: images in the study's folder, masks, features, results, snapshots; a tombstone stays."""
    done = withdraw_patient(directory, operator(), case, reason)
    results = sum(stone.artifacts for stone in done.stones)
    typer.echo(f"withdrawn {case}: {results} results and {done.deleted_files} image files removed")
    for path in done.left_outside:
        typer.echo(f"outside the study, remove it yourself: {path}")
    for left in done.left_inside:
        typer.echo(f"left, because {left.why}; look at it yourself: {left.path}")
    if done.discarded_uploads:
        uploads = "1 upload" if done.discarded_uploads == 1 else f"{done.discarded_uploads} uploads"
        typer.echo(f"discarded: {uploads} that nobody had kept yet held this case")
    for model in done.models:
        typer.echo(f"marked: the model {model} was trained on this case")
    typer.echo("Slides, tables and reports handed out before are out of reach. `run` brings results up to date.")


@custody_app.command("deidentify")
def deidentify_command(directory: Directory, to: Annotated[Path, typer.Option(help="an empty or new folder")]) -> None:
    """A pseudonymised copy of images, outlines and tables."""
    authorise(directory, operator(), "export pseudonymised")
    count = write_deidentified(directory, to)
    record_action(directory, operator(), "export pseudonymised", f"{count} cases")
    typer.echo(f"{count} cases to {to.name}")


@custody_app.command("backup")
def backup_command(
    directory: Directory, to: Annotated[Path, typer.Argument(help="a new folder, or an earlier backup of this study")]
) -> None:
    """Copy ledger, results and what lies in the study's folder, also while a run goes on; the private folder is not in.

    To restore, copy the backup back as the study's folder, put `private/` into it again, and `rebuild`.
    """
    done = back_up(directory, to)
    record_action(directory, operator(), "backup", f"{done.artifacts} results, {done.copied} files copied")
    size = f"{done.copied} files copied ({done.bytes / 1e6:.1f} MB), {done.removed} removed"
    typer.echo("\n".join([f"{counted(done.artifacts, 'result')}; {size}", *(f"damaged {d}" for d in done.damaged)]))
    if done.damaged:
        typer.echo("not copied, for its bytes are not the ledger's: `verify --repair`, `run`, then back up again")
        raise typer.Exit(1)


@custody_app.command("paperwork")
def paperwork_command(directory: Directory, to: Annotated[Path, typer.Option(help="folder")]) -> None:
    """Drafts of a data protection assessment and of a model card, with the study's facts filled in."""
    for path in write_paperwork(directory, to):
        typer.echo(path.name)
    note = retention_note(read_protocol(directory).governance, datetime.now(UTC).date().isoformat())
    if note:
        typer.echo(note)


@audit_app.command("verify")
def audit_verify(directory: Directory, as_json: AsJson = False) -> None:
    """Whether no line of the audit was changed, taken out or cut off, and no verdict or drawn mask rewritten."""
    found = verify_audit(directory)
    if as_json:
        typer.echo(json.dumps({**dataclasses.asdict(found), "whole": found.whole}))
    else:
        typer.echo(f"{found.lines} lines, head {found.head[:16] or 'none'}: {found.problem or 'whole'}")
    if not found.whole:
        raise typer.Exit(1)


@audit_app.command("show")
def audit_show(directory: Directory, last: Annotated[int, typer.Option(min=1, help="lines")] = 50) -> None:
    """The newest lines of the audit."""
    for line in see_audit(directory, operator(), last):
        typer.echo(f"{line.seq:6d} {line.at} {line.actor} {line.action} {line.detail}")


@account_app.command("set")
def account_set(
    directory: Directory,
    name: Annotated[str, typer.Argument(help="e-mail address or subject, as the provider sends it")],
    role: Annotated[str, typer.Argument(help=f"{', '.join(ROLES)}, or none")],
) -> None:
    """Give somebody a role in a study, or take it away with `none`."""
    give_role(directory, operator(), name, "" if role == "none" else role)
    typer.echo(f"{name}: {role}")


@account_app.command("list")
def account_list(directory: Directory) -> None:
    """Names and roles."""
    for account in accounts(directory):
        typer.echo(f"{account.role:14s} {account.name}  since {account.set_at[:10]} by {account.set_by}")


@import_app.command("archive")
def import_archive(
    archive: Annotated[Path, typer.Argument(help="zip or tar file")],
    to: Annotated[Path, typer.Argument(help="a new folder below the image folder")],
) -> None:
    """Unpack an archive that may come from anywhere; then `check`."""
    typer.echo(f"{unpack(archive, to)} files; now `check` the study")


@import_app.command("dicomweb")
def import_dicomweb(
    address: Annotated[str, typer.Argument(help="base address of the DICOMweb service (…/dicom-web)")],
    to: Annotated[Path, typer.Argument(help="a new folder below the image folder")],
    patient: Annotated[list[str], typer.Option(help="PatientID, may be repeated")],
    user: Annotated[str, typer.Option(help="user; the password is read from COHORTSCOPE_DICOMWEB_PASSWORD")] = "",
) -> None:
    """Fetch CT, RTSTRUCT and SEG of named patients from an archive such as Orthanc or XNAT; then `check`."""
    password = os.environ.get("COHORTSCOPE_DICOMWEB_PASSWORD", "")
    found = fetch_studies(Archive(address, user, password), tuple(patient), to)
    typer.echo(f"{found.instances} files of {found.series} series; now `check` the study")
