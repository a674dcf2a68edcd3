"""Who may see a page. Without sign-in the app is open on this computer only; every page asks again for itself."""

from __future__ import annotations

import streamlit as st

LOOPBACK = ("127.0.0.1", "localhost", "::1")
FORWARDED = ("X-Forwarded-For", "Forwarded", "X-Real-Ip")


def admit() -> None:
    """Stop the page unless the visitor may see it; every page calls this first."""
    if not _local_only():
        st.error(
            "This installation has no sign-in, so it answers on this computer only. "
            "Start it with `--server.address 127.0.0.1` and without a proxy in front."
        )
        st.stop()


def _local_only() -> bool:
    """The server listens on loopback and nobody forwards requests from elsewhere."""
    forwarded = any(st.context.headers.get(name) for name in FORWARDED)
    return st.get_option("server.address") in LOOPBACK and not forwarded
