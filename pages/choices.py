"""The choices of study.toml as a form: each field with its unit, interval and meaning, checked before it is written."""

from __future__ import annotations

import typing
from pathlib import Path

import streamlit as st
from pydantic.fields import FieldInfo

from engine.protocol import Protocol, read_protocol
from engine.run.choices import EDITABLE
from engine.section import Section
from engine.service import change_the_choices
from store.access import Person

Number = int | float
INCLUSIVE = {"Ge": "at least", "Le": "at most", "Gt": "above", "Lt": "below"}


def choices_form(study: Path, person: Person) -> None:
    """One part of the protocol at a time; saving writes study.toml, a run is what brings it into the numbers."""
    protocol = read_protocol(study)
    section = st.selectbox("Part of the protocol", EDITABLE, format_func=lambda name: title(protocol, name), key="part")
    part: Section = getattr(protocol, section)
    with st.form(f"choices-{section}"):
        given = {name: widget(section, name, info, getattr(part, name)) for name, info in fields(part).items()}
        if st.form_submit_button("Save these choices"):
            save(study, person, section, {name: value for name, value in given.items() if value is not None})
    st.caption("The images, tables, covariates and outcome of a study are changed on **Upload** and in study.toml.")


def save(study: Path, person: Person, section: str, given: dict[str, object]) -> None:
    """Write the part, or say which law a value breaks."""
    try:
        changed = change_the_choices(study, person, section, given)
    except (RuntimeError, ValueError) as error:
        st.error(str(error))
        return
    st.session_state["choices-saved"] = ", ".join(changed) or "nothing"
    st.rerun()


def title(protocol: Protocol, section: str) -> str:
    """The name of a part as study.toml has it, and what it decides."""
    words = (type(getattr(protocol, section)).__doc__ or "").partition("\n")[0].rstrip(".")
    return f"{section} – {words[:1].lower()}{words[1:]}"


def fields(part: Section) -> dict[str, FieldInfo]:
    """The fields of a part in their order."""
    return dict(type(part).model_fields)


def widget(section: str, name: str, info: FieldInfo, value: object) -> object:
    """One field; None where it is too rich for a form and stays as it is."""
    key, label = f"choice-{section}-{name}", f"**{name}**{interval_of(info)}: {info.description}"
    options = options_of(info.annotation)
    if options:
        return st.selectbox(label, options, index=options.index(value), key=key)
    if isinstance(value, bool):
        return st.checkbox(label, value, key=key)
    if isinstance(value, int | float):
        low, high = limits(info, type(value))
        return st.number_input(label, low, high, value, key=key, format="%d" if isinstance(value, int) else "%g")
    if isinstance(value, str):
        return st.text_input(label, value, key=key)
    if isinstance(value, tuple):
        return series(label, key, info, value)
    st.caption(f"{label} Edit it in study.toml.")
    return None


def series(label: str, key: str, info: FieldInfo, value: tuple[object, ...]) -> object:
    """A field of several values: a choice of known ones, else text with commas."""
    members = [of for of in typing.get_args(info.annotation) if of is not Ellipsis]
    known = options_of(members[0]) if members else ()
    if known:
        return st.multiselect(label, known, list(value), key=key)
    if any(not isinstance(one, str | int | float) for one in value):
        st.caption(f"{label} Edit it in study.toml.")
        return None
    text = st.text_input(f"{label} (several: with commas)", ", ".join(map(str, value)), key=key)
    return [one.strip() for one in text.split(",") if one.strip()]


def options_of(annotation: object) -> tuple[object, ...]:
    """The values of a Literal, or of a union of one with bool; empty for any other type."""
    if typing.get_origin(annotation) is typing.Literal:
        return typing.get_args(annotation)
    parts = typing.get_args(annotation)
    if bool in parts and all(of is bool or typing.get_origin(of) is typing.Literal for of in parts):
        return (False, True, *(value for of in parts for value in typing.get_args(of)))
    return ()


def limits(info: FieldInfo, kind: type[Number]) -> tuple[Number | None, Number | None]:
    """Lowest and highest value that the widget offers; an open end is left to the protocol's own law."""
    found = {type(law).__name__: getattr(law, type(law).__name__.lower(), None) for law in info.metadata}
    low, high = found.get("Ge", found.get("Gt")), found.get("Le", found.get("Lt"))
    return (None if low is None else kind(low)), (None if high is None else kind(high))


def interval_of(info: FieldInfo) -> str:
    """The interval of a field in words, empty without one."""
    laws = [(type(law).__name__, law) for law in info.metadata if type(law).__name__ in INCLUSIVE]
    words = [f"{INCLUSIVE[name]} {getattr(law, name.lower()):g}" for name, law in laws]
    return f" ({', '.join(words)})" if words else ""
