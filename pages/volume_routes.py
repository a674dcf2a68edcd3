"""The routes beside the pages: volumes of one reading out, one drawing in; nothing without a signed, living token."""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Callable
from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from engine.review.grants import (
    ALIVE,
    FETCH,
    LIFETIME_SECONDS,
    SEND,
    ForbiddenError,
    Grant,
    grant_of,
    session_digest,
)
from engine.run.drawing import MOST_BYTES, save_from_viewer
from engine.run.review_desk import protocol_of, sign_of_life
from engine.run.review_volumes import (
    ct_bytes,
    drawing_bytes,
    error_bytes,
    layers_bytes,
    prior_bytes,
    tokens,
    viewer_secret,
)
from engine.service import EARLIER, note_images_seen
from pages.gate import bearer, may, signed_out_at, study_folder
from pages.sessions import session_of
from store.records import RefusedError
from store.reviews import OvertakenError, Reading

VIEWER = Path(__file__).parent / "viewer" / "built" / "viewer.js"
BEARER = "Bearer "
DRAWN_ON, DRAWN_FROM = "X-Drawn-On", "X-Drawn-From"
IMAGES: dict[str, Callable[[Path, Grant], bytes]] = {"ct": ct_bytes, "prior": prior_bytes}
IN_AUDIT = {"ct": "", "prior": EARLIER}
PRIVATE = {"Cache-Control": "no-store", "Vary": "Authorization"}
VOLUMES: dict[str, Callable[[Path, Grant], bytes]] = {
    **IMAGES,
    "layers": layers_bytes,
    "drawing": drawing_bytes,
    "error": error_bytes,
}
log = logging.getLogger("cohortscope.viewer")


def granted(request: Request) -> tuple[Path, Grant]:
    """Study and grant of a request; ForbiddenError where there is none that holds."""
    study = study_folder()
    if study is None:
        raise ForbiddenError("no study")
    token = request.headers.get("Authorization", "").removeprefix(BEARER)
    session = session_digest(session_of(request.cookies))
    grant = grant_of(viewer_secret(study), token, request.method, session, time.time())
    if grant.expires_at - LIFETIME_SECONDS < signed_out_at(session):
        raise ForbiddenError("given out before the reader signed out")
    if not may(bearer(study, grant.reader), "view images" if request.method == "GET" else "draw"):
        raise ForbiddenError("the reader has no such role any more")
    return study, grant


def images_key(grant: Grant) -> str:
    """Which images a grant is for; holds no case, so that hidden repeats stay hidden."""
    of = (grant.run_id, grant.case_id, grant.mode, grant.reading, grant.reader, grant.box, grant.stride)
    return session_digest(repr(of))


def refused(error: ForbiddenError) -> Response:
    """403 without a reason; the reason goes to the log, which names no case."""
    log.info("viewer request refused: %s", error)
    return PlainTextResponse("forbidden", 403, PRIVATE)


async def volume(request: Request) -> Response:
    """One volume of the reading that the token names."""
    try:
        study, grant = await run_in_threadpool(granted, request)
    except ForbiddenError as error:
        return refused(error)
    name = request.url.path.rpartition("/")[2]
    try:
        body = await run_in_threadpool(handed_out, name, study, grant)
    except KeyError:
        return PlainTextResponse("not there", 404, PRIVATE)
    return Response(body, 200, PRIVATE, "application/octet-stream")


def handed_out(name: str, study: Path, grant: Grant) -> bytes:
    """A volume by name; that a patient's images leave is in the audit before they do. KeyError where it is not."""
    body = VOLUMES[name](study, grant)
    if name in IMAGES:
        note_images_seen(study, bearer(study, grant.reader), grant.case_id, IN_AUDIT[name])
    return body


async def save(request: Request) -> Response:
    """Store a drawing as a new version; the answer comes only once it is on disk and in the ledger."""
    try:
        study, grant = await run_in_threadpool(granted, request)
    except ForbiddenError as error:
        return refused(error)
    if request.headers.get(DRAWN_ON, "") != images_key(grant):
        return JSONResponse({"error": "it was drawn on other images"}, 409, PRIVATE)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BYTES:
            return JSONResponse({"error": "The drawing is too large."}, 413, PRIVATE)
    begun = dataclasses.replace(grant, drawn_key=request.headers.get(DRAWN_FROM, ""))
    try:
        saved = await run_in_threadpool(save_from_viewer, study, begun, bytes(body))
    except OvertakenError as error:
        return JSONResponse({"error": error.message}, 409, PRIVATE)
    except RefusedError as error:
        return JSONResponse({"error": f"{error.message} {error.remedy}"}, 422, PRIVATE)
    return JSONResponse({**dataclasses.asdict(saved), "at": time.time()}, 200, PRIVATE)


async def alive(request: Request) -> Response:
    """A sign of life of the reader: counts his time and hands out fresh tokens of the same grant."""
    try:
        study, grant = await run_in_threadpool(granted, request)
    except ForbiddenError as error:
        return refused(error)
    return JSONResponse(await run_in_threadpool(_renew, study, grant), 200, PRIVATE)


def _renew(study: Path, grant: Grant) -> dict[str, str]:
    idle = protocol_of(study, grant.run_id).review.idle_seconds
    sign_of_life(study, Reading(grant.case_id, grant.reader, grant.mode, grant.reading), idle)
    return tokens(study, grant, FETCH, SEND, ALIVE)


async def viewer_script(_: Request) -> Response:
    """The viewer's program: the same for everyone, holds no data."""
    if not VIEWER.exists():
        return PlainTextResponse("the viewer was not built", 404)
    return FileResponse(VIEWER, media_type="text/javascript", headers={"Cache-Control": "no-cache"})


ROUTES = [
    Route("/viewer/viewer.js", viewer_script),
    Route("/volumes/alive", alive, methods=["POST"]),
    Route("/volumes/drawing", save, methods=["PUT"]),
    *(Route(f"/volumes/{name}", volume, methods=["GET"]) for name in VOLUMES),
]
