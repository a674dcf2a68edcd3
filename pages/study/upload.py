"""Images and a clinical table through the browser: taken apart, judged by the gate, kept only when somebody says so."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import streamlit as st

from engine.acquire.check import CheckResult
from engine.acquire.uploads import ColumnFacts
from engine.protocol import CovariateColumn, Covariates, Outcome
from engine.service import (
    TableMapping,
    describe_table,
    drop_upload,
    judge_table,
    judge_upload,
    keep_images,
    keep_table,
    take_archive,
    take_files,
    take_table,
)
from pages.frame import begin_without_run, end, table
from pages.gate import admit
from store.access import Person
from store.records import RefusedError

COLUMNS = {"column": "Column", "kind": "Holds", "filled": "Rows filled", "levels": "Different values"}
IMAGES, JUDGED, TABLE, DONE = "upload-images", "upload-judged", "upload-table", "upload-done"
Finding = tuple[str, str, str, str]  # case and file, code, what was found, what to do
CASES_NAMED, FINDINGS_HEIGHT, FINDINGS_AT_ONCE = 5, 340, 4
KINDS = {"number": "number", "text": "category"}


def refuse(error: RefusedError) -> None:
    """What is wrong with an upload and what to do."""
    st.error(f"**Refused: {error.code}.** {error.message} {error.remedy}")


def findings(found: Iterable[Finding]) -> None:
    """What the gate found, one line for all cases of which it says the same; whole sentences, never cut off."""
    cases: dict[tuple[str, str, str], list[str]] = {}
    for where, *said in found:
        cases.setdefault((said[0], said[1], said[2]), []).append(where)
    with st.container(height=FINDINGS_HEIGHT if len(cases) > FINDINGS_AT_ONCE else "content", border=True):
        for (code, message, remedy), where in cases.items():
            named = ", ".join(one for one in where[:CASES_NAMED] if one) or "All"
            more = f" and {len(where) - CASES_NAMED} more" if len(where) > CASES_NAMED else ""
            st.markdown(f"**{named}{more}** `{code}`  \n{message} *{remedy}*")


def kept(text: str) -> None:
    """Begin anew, saying what was kept."""
    st.session_state[DONE] = text
    st.rerun()


def images(study: Path, person: Person) -> None:
    """A folder or an archive of images, judged before it is kept."""
    token = st.session_state.get(IMAGES)
    if token:
        return judged_images(study, person, token)
    folder = st.file_uploader("A folder of images", accept_multiple_files="directory", key="folder")
    packed = st.file_uploader("Or an archive (zip, tar)", type=["zip", "tar", "gz", "tgz", "xz", "bz2"], key="packed")
    if not st.button("Check the images", disabled=not (folder or packed), type="primary"):
        st.caption("Large cohorts are quicker from the command line: `import archive`, `import dicomweb`.")
        return None
    try:
        if packed:
            st.session_state[IMAGES] = take_archive(study, person, packed)
        else:
            st.session_state[IMAGES] = take_files(study, person, ((one.name, one, one.size) for one in folder or ()))
    except RefusedError as error:
        refuse(error)
        return None
    st.rerun()


def judged_images(study: Path, person: Person, token: str) -> None:
    """What the gate says, and the two ways on."""
    said = st.container()
    keep, drop = st.columns(2)
    if drop.button("Discard", key="drop-images", width="stretch"):  # before the judging, which may fail
        drop_upload(study, person, token)
        forget_images()
        st.rerun()
    with said:
        found = judgement(study, person, token)
    if found is None:
        return
    usable = bool(found.accepted) and not found.refused
    if keep.button("Keep them", disabled=not usable, type="primary", key="keep-images", width="stretch"):
        try:
            keep_images(study, person, token)
        except ValueError as error:
            st.session_state.pop(JUDGED)  # the study may have changed since: judged anew the next time
            st.error(str(error))
            return
        forget_images()
        kept("The images are in the study; start a run on the page **Runs**.")
    if found.refused:
        st.caption("An upload is kept as a whole: correct or take out what is refused, and upload again.")


def judgement(study: Path, person: Person, token: str) -> CheckResult | None:
    """What the gate says, judged once an upload; None where it cannot be judged."""
    if JUDGED not in st.session_state:
        try:
            st.session_state[JUDGED] = judge_upload(study, person, token)
        except (OSError, ValueError):
            st.error("This upload cannot be judged. Discard it, and upload it again.")
            return None
    found: CheckResult = st.session_state[JUDGED]
    st.markdown(f"**{len(found.accepted)} accepted, {len(found.refused)} refused, {len(found.flagged)} flagged.**")
    if found.refused:
        findings((f"{one.case} {one.file}".strip(), one.code, one.message, one.remedy) for one in found.refused)
    if found.flagged:
        findings((one.case, one.code, one.message, one.remedy) for one in found.flagged)
    return found


def forget_images() -> None:
    """Let an upload of images go from this session."""
    for key in (IMAGES, JUDGED):
        st.session_state.pop(key, None)


def clinical(study: Path, person: Person) -> None:
    """A clinical table: columns first, then the mapping, then the gate's word, then the confirmation."""
    token = st.session_state.get(TABLE)
    if token:
        return mapped_table(study, person, token)
    sent = st.file_uploader("A clinical table (CSV in UTF-8)", type=["csv"], key="table")
    if sent is not None and st.button("Read its columns", type="primary"):
        try:
            st.session_state[TABLE] = take_table(study, person, sent.getvalue())
        except RefusedError as error:
            refuse(error)
            return None
        st.rerun()
    return None


def mapped_table(study: Path, person: Person, token: str) -> None:
    """Which column is what, and what the gate says to it; no cell is shown."""
    facts = describe_table(study, person, token)
    table(facts, COLUMNS)
    mapping = chosen_mapping(facts)
    keep, drop = st.columns(2)
    if drop.button("Discard", key="drop-table", width="stretch"):
        drop_upload(study, person, token)
        st.session_state.pop(TABLE)
        st.rerun()
    if mapping is None:
        return
    try:
        found = judge_table(study, person, token, mapping)
    except RefusedError as error:
        refuse(error)
        return
    st.markdown(f"**{found.known} patients; {len(found.refused)} rows refused, {len(found.flagged)} flagged.**")
    if found.refused:
        findings((one.case_id, one.code, one.message, one.remedy) for one in found.refused)
    if found.flagged:
        findings(("", one.code, one.message, one.remedy) for one in found.flagged)
    if keep.button("Make it the study's table", type="primary", key="keep-table", width="stretch"):
        try:
            keep_table(study, person, token, mapping)
        except (RuntimeError, ValueError) as error:
            st.error(str(error))
            return
        st.session_state.pop(TABLE)
        kept("study.toml names the table and its columns; start a run on the page **Runs**.")


def chosen_mapping(facts: tuple[ColumnFacts, ...]) -> TableMapping | None:
    """The mapping chosen in the form; None until id, time and event are named."""
    names = [one.column for one in facts]
    kinds = {one.column: one.kind for one in facts}
    one, two = st.columns(2)
    three, four = st.columns(2)
    id_column = one.selectbox("Patient id", names, index=None, key="map-id")
    time = two.selectbox("Days from time zero", names, index=None, key="map-time")
    event = three.selectbox("Event", names, index=None, key="map-event")
    value = four.text_input("Value that means event", "1", key="map-value")
    rest = [name for name in names if name not in (id_column, time, event) and kinds[name] in KINDS]
    predictors = st.multiselect("Predictors known before the moment of prediction", rest, key="map-covariates")
    if not (id_column and time and event):
        st.caption("Name the three columns; more kinds of outcome are set in study.toml.")
        return None
    columns = tuple(CovariateColumn(column=name, kind=KINDS[kinds[name]]) for name in predictors)
    outcome = Outcome(kind="time", time=time, event=event, event_value=value)
    return TableMapping(id_column, outcome, Covariates(columns=columns))


place, shown = begin_without_run("What shall come into this study?", "upload images")
visitor = admit("upload images")
st.info("Nothing is kept before you have seen what the gate says to it. What is kept is read by the next run.")
if DONE in st.session_state:
    st.success(st.session_state.pop(DONE))
left, right = st.columns(2, gap="large")
with left:
    st.subheader("Images", anchor=False)
    images(place, visitor)
with right:
    st.subheader("Clinical table", anchor=False)
    clinical(place, visitor)
if shown is not None:
    end(shown)
