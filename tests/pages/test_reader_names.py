"""Under which name a reader may read: a simulated reader's is neither offered nor taken."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest


def page_that_asks() -> None:
    import streamlit as st

    from pages.reader import require_reader

    reader = require_reader(frozenset({"Ada", "reader-A"}), frozenset({"reader-A"}), {"study": "Reader study"})
    st.markdown(f"shown to {reader.name}")


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> AppTest:
    monkeypatch.setattr("pages.reader.signed_in", lambda: None)
    return AppTest.from_function(page_that_asks)


def test_a_simulated_reader_is_not_offered(app):
    assert app.run().selectbox[0].options == ["Ada"]


def test_a_simulated_readers_name_is_refused_in_words_and_nothing_is_shown(app):
    app.session_state["reader"] = "reader-A"
    app.run()
    assert [error.value for error in app.error] == [
        "reader-A is a simulated reader of this study, whose verdicts nobody can change. Choose another name."
    ]
    assert not app.markdown
    app.button(key="leave").click().run()
    assert app.selectbox[0].options == ["Ada"]


@pytest.mark.parametrize(("name", "taken"), [("reader-A", False), ("Ada", True), ("Nora", True)])
def test_only_a_name_of_a_person_is_taken_when_it_is_typed(app, monkeypatch, name, taken):
    monkeypatch.setattr("streamlit.selectbox", lambda *_, **__: name)
    app.run()
    app.button[0].click().run()
    assert bool(app.markdown) == taken
    assert bool(app.error) != taken
