"""The web app: which script is the entry, what every answer's headers say, what happens at start and end. No logic."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import streamlit as st
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from engine.processes import write_for_owner_only
from engine.run.withdrawal import before_serving
from pages.gate import may_see_media, may_send_files, study_folder
from pages.volume_routes import ROUTES
from store.snapshot import close_snapshots

# 'unsafe-eval' and blob: are what Streamlit's own front end and Plotly need; nothing may come from another host, and no
# other host may frame a page (the page Two runs frames our own)
SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; "
    "connect-src 'self' ws: wss: data: blob:; worker-src 'self' blob:; object-src 'none'; base-uri 'self'; "
    "form-action 'self'; frame-ancestors 'self'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Cross-Origin-Opener-Policy": "same-origin",
}

STREAMLITS_FILES = frozenset(one.name for one in (Path(st.__file__).parent / "static/static/media").iterdir())
UPLOAD_ROUTE, MEDIA_ROUTE = "/_stcore/upload_file/", "/media/"


class SecurityHeaders:
    """Adds the security headers to every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and write the headers when its answer starts."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers[name] = value
            await send(message)

        await self._app(scope, receive, send_with_headers if scope["type"] == "http" else send)


class StreamlitGate:
    """Closes Streamlit's own routes for uploads and media, which ask for no role, to whom the gate did not let in."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything on but a file of a session that may send none, and media for a browser without sign-in."""
        path = scope.get("path", "")
        # who may is asked of the ledger, and a file that is slow or locked must not hold up every other request
        media = scope["type"] == "http" and MEDIA_ROUTE in path and not _is_own_file(path)
        if media and not await run_in_threadpool(may_see_media, Request(scope).cookies):
            await PlainTextResponse("forbidden", 403)(scope, receive, send)
            return
        _, sent, rest = path.partition(UPLOAD_ROUTE)
        asked = sent and scope.get("method") != "OPTIONS"
        if asked and not await run_in_threadpool(may_send_files, rest.partition("/")[0]):
            while scope["type"] == "http" and (await receive()).get("more_body"):
                pass  # read to its end: a sender whose connection breaks off never sees the answer
            await PlainTextResponse("forbidden", 403)(scope, receive, send)
            return
        await self._app(scope, receive, send)


def _is_own_file(path: str) -> bool:
    """Whether a path is that of a font or picture of Streamlit's own, which a page needs before anybody signs in."""
    before, _, name = path.rpartition("/")
    return before.endswith("/static/media") and name in STREAMLITS_FILES


async def health(_: Request) -> PlainTextResponse:
    """Whether the app answers; says nothing of the study."""
    return PlainTextResponse("ok")


@asynccontextmanager
async def lifespan(_: st.App) -> AsyncIterator[None]:
    """Apply withdrawals before the first page is served; leave no snapshot open at its end; write for no other user."""
    write_for_owner_only()
    study = study_folder()
    if study is not None:
        await run_in_threadpool(before_serving, study)
    yield
    close_snapshots()


app = st.App(
    "pages/entry.py",
    routes=[Route("/health", health), *ROUTES],
    middleware=[Middleware(SecurityHeaders), Middleware(StreamlitGate)],
    lifespan=lifespan,
)
