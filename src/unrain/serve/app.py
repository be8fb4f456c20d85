"""The routes: what a request asks for, and how it is answered. The work is done in jobs.py."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Header, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, StreamingResponse
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from unrain import __version__
from unrain.serve import page, schema
from unrain.serve.auth import COOKIE, Access, owner
from unrain.serve.formats import MEDIA_TYPES, media_type, wanted_suffix
from unrain.serve.jobs import Scheduler
from unrain.serve.limits import Limits, Refused, Space
from unrain.serve.metrics import Metrics
from unrain.serve.schema import FileName, Info, JobId, JobView, Status, refusals
from unrain.serve.store import Job, Store

_EVENT_STEP = 0.25
_SILENCE = 15.0
_GLANCE = 0.5
"""Seconds between two looks at whether a client is still there."""
_GONE = Response(status_code=499)
_HEADERS = {
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"x-frame-options": b"DENY",
    b"cross-origin-resource-policy": b"same-origin",
}

Owner = Annotated[str, Depends(owner)]
# OpenAPI describes what can be accepted with the responses, and has no place for the header itself
Accept = Annotated[str, Header(include_in_schema=False)]

_plain = APIRouter()
_api = APIRouter(prefix="/v1")


def create_app(
    folder: Path,
    access: Access,
    limits: Limits,
    *,
    local: bool = True,
    engine: str = "auto",
    threads: int | None = None,
) -> FastAPI:
    """The service, with its jobs in `folder`. `UnrainError` if that folder cannot be used."""
    store = Store(folder)
    metrics = Metrics(store)
    scheduler = Scheduler(store, Space(folder, limits.disk), limits, metrics, engine, threads)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        scheduler.start()
        yield
        await scheduler.stop()
        store.close()

    app = FastAPI(
        title="unrain",
        version=__version__,
        summary="Takes the rain out of photos and videos.",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    app.state.access, app.state.limits, app.state.local, app.state.scheduler = access, limits, local, scheduler
    app.include_router(_plain)
    app.include_router(_api)
    app.include_router(page.router())
    app.add_exception_handler(Refused, _refused)
    app.add_exception_handler(RequestValidationError, _wrong)
    app.add_exception_handler(HTTPException, _plain_problem)
    app.add_exception_handler(ClientDisconnect, _gone)
    if access.origins:
        app.add_middleware(CORSMiddleware, allow_origins=access.origins, allow_methods=["*"], allow_headers=["*"])
    app.add_middleware(_Guard, access=access, metrics=metrics)
    return app


class _Guard:
    """Around every request: Host and Origin are checked, it is counted, and the answer gets its safety headers."""

    def __init__(self, app: ASGIApp, access: Access, metrics: Metrics) -> None:
        self._app, self._access, self._metrics = app, access, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), *_HEADERS.items()]
                route = getattr(scope.get("route"), "path", "other")
                self._metrics.answered(scope["method"], route, message["status"])
            await send(message)

        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        try:
            self._access.check(headers.get(b"host", ""), headers.get(b"origin"))
        except Refused as refused:
            await _problem(refused)(scope, receive, send_safely)
            return
        # requests are cancelled when the service ends, and have had their time then: no reason for a traceback
        with suppress(asyncio.CancelledError):
            await self._app(scope, receive, send_safely)


@_plain.get("/health", tags=["service"], responses=refusals())
async def health() -> Status:
    """Whether the process answers."""
    return Status(status="ok")


@_plain.get("/ready", tags=["service"], responses=refusals(503))
async def ready(request: Request) -> Status:
    """Whether it takes work: the model is loaded, and every worker is there."""
    scheduler = _scheduler(request)
    if not (scheduler.ready and scheduler.alive()):
        raise Refused(503, "the service is starting, or its workers have ended", 5)
    return Status(status="ready")


@_plain.get(
    "/metrics",
    tags=["service"],
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}, **refusals()},
)
async def metrics(request: Request, _: Owner) -> Response:
    """Counters for Prometheus."""
    scheduler = _scheduler(request)
    return Response(
        scheduler.metrics.text(scheduler.space.used()), media_type="text/plain; version=0.0.4; charset=utf-8"
    )


@_api.get("/info", tags=["service"], responses=refusals())
async def info(request: Request, _: Owner) -> Info:
    """Qualities and limits."""
    limits: Limits = request.app.state.limits
    return Info(version=__version__, local=request.app.state.local, qualities=schema.qualities(), limits=vars(limits))


@_api.post("/session", tags=["service"], status_code=204, responses=refusals())
async def session(request: Request, response: Response, _: Owner) -> None:
    """Keep the token of this request in a cookie, as the page needs it: media elements cannot send headers."""
    token = request.headers.get("authorization", "").partition(" ")[2].strip() or request.cookies.get(COOKIE, "")
    response.set_cookie(COOKIE, token, httponly=True, samesite="strict", secure=request.url.scheme == "https")


_BYTES = {"schema": {"type": "string", "format": "binary"}}
_IMAGE_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"description": "The clean photo.", "content": {name: _BYTES for name in MEDIA_TYPES["image"].values()}},
    202: {"description": "The job, where `Prefer: respond-async` was sent.", "model": JobView},
}


@_api.post(
    "/images",
    tags=["cleaning"],
    response_class=Response,
    openapi_extra=schema.body("image"),
    responses=_IMAGE_ANSWERS | refusals(406, 408, 413, 415, 422, 429, 503, 507),
)
async def images(
    request: Request,
    who: Owner,
    options: Annotated[schema.ImageOptions, Query()],
    accept: Accept = "*/*",
    prefer: Annotated[str, Header(description="`respond-async` makes it a job.")] = "",
) -> Response:
    """Clean a photo: JPEG, PNG, WebP, TIFF or BMP bytes in, and out. Metadata is kept as by `unrain clean`."""
    scheduler = _scheduler(request)
    later = "respond-async" in prefer.lower()
    chosen = options.model_dump()
    job = await _accept(
        request, who, "image", chosen, "*/*" if later and "image" not in accept else accept, "clean", not later
    )
    if later:
        return _accepted(scheduler, job)
    try:
        ended = await _wait(request, scheduler, job)
    except BaseException:
        await scheduler.remove(job)
        raise
    if ended is None or ended.state != "done":
        await scheduler.remove(job)
        if ended is None:
            return _GONE if not scheduler.closing else _problem(_stopping())
        raise Refused(422, ended.error or "the job was stopped")
    assert ended.ran is not None
    told = {f"unrain-{key}": str(ended.ran[key]) for key in ("model", "engine", "device", "precision", "seconds")}
    path = scheduler.result(ended)
    return FileResponse(
        path, media_type=media_type(path), headers=told, background=BackgroundTask(scheduler.remove, ended)
    )


@_api.post(
    "/videos",
    tags=["cleaning"],
    status_code=202,
    openapi_extra=schema.body("video"),
    responses=refusals(406, 408, 413, 415, 422, 429, 507),
)
async def videos(
    request: Request,
    who: Owner,
    options: Annotated[schema.NewVideoOptions, Query()],
    accept: Accept = "*/*",
) -> JobView:
    """Take a video to clean: MP4, MOV, MKV, WebM, AVI or MPEG-TS bytes. Sound, subtitles and times are kept."""
    chosen = options.model_dump(exclude={"preview"})
    _check_options("video", chosen)
    phase = "preview" if options.preview else "clean"
    wanted = accept if "video" in accept else "*/*"
    job = await _accept(request, who, "video", chosen, wanted, phase, False)
    return _view(_scheduler(request), job)


@_api.get("/jobs/{job}", tags=["jobs"], responses=refusals(404, 422))
async def job(request: Request, who: Owner, job: JobId) -> JobView:
    """How far a job is, and what it has made."""
    scheduler = _scheduler(request)
    return _view(scheduler, _find(scheduler, job, who))


@_api.get(
    "/jobs/{job}/events",
    tags=["jobs"],
    response_class=StreamingResponse,
    responses={
        200: {"description": "Server-sent events.", "content": {"text/event-stream": {"schema": {"type": "string"}}}},
        **refusals(404, 422),
    },
)
async def events(request: Request, who: Owner, job: JobId) -> StreamingResponse:
    """The same as it changes, as server-sent events, until the job has ended."""
    scheduler = _scheduler(request)
    _find(scheduler, job, who)
    return StreamingResponse(
        _changes(scheduler, job), media_type="text/event-stream", headers={"Cache-Control": "no-store"}
    )


@_api.post("/jobs/{job}/start", tags=["jobs"], status_code=202, responses=refusals(404, 409, 422, 429))
async def start(request: Request, who: Owner, job: JobId, options: Annotated[schema.StartOptions, Query()]) -> JobView:
    """Go on after a preview, or clean the same file again: after a cancel, or with other options."""
    scheduler = _scheduler(request)
    found = _find(scheduler, job, who)
    chosen = options.model_dump(exclude_none=True)
    _check_options(found.kind, found.options | chosen)
    scheduler.restart(found, "clean", chosen)
    return _view(scheduler, found)


@_api.post("/jobs/{job}/cancel", tags=["jobs"], responses=refusals(404, 422))
async def cancel(request: Request, who: Owner, job: JobId) -> JobView:
    """Stop a job. What was uploaded stays, so that it can be started again."""
    scheduler = _scheduler(request)
    await scheduler.cancel(_find(scheduler, job, who))
    return _view(scheduler, _find(scheduler, job, who))


@_api.delete("/jobs/{job}", tags=["jobs"], status_code=204, responses=refusals(404, 422))
async def delete(request: Request, who: Owner, job: JobId) -> None:
    """Stop a job, and remove all that is kept of it."""
    scheduler = _scheduler(request)
    await scheduler.remove(_find(scheduler, job, who))


@_api.get(
    "/jobs/{job}/files/{name}",
    tags=["jobs"],
    response_class=FileResponse,
    responses={
        200: {
            "description": "The file.",
            "content": {name: _BYTES for kind in MEDIA_TYPES.values() for name in kind.values()},
        },
        206: {"description": "A part of the file."},
        **refusals(404, 416, 422),
    },
)
async def file(request: Request, who: Owner, job: JobId, name: FileName) -> FileResponse:
    """One file of a job: `clean` is the result. Ranges are understood, so that players can seek."""
    scheduler = _scheduler(request)
    path = scheduler.files(_find(scheduler, job, who)).get(name)
    if path is None:
        raise Refused(404, "the job has no such file, or not yet")
    return FileResponse(path, media_type=media_type(path), headers={"Cache-Control": "no-store"})


async def _accept(
    request: Request, who: str, kind: str, options: dict[str, Any], accept: str, phase: str, awaited: bool
) -> Job:
    """Receive a body, look at it, and queue it as a job. `Refused` where a limit is in the way."""
    scheduler, limits = _scheduler(request), request.app.state.limits
    wanted_suffix(accept, kind, "")  # before a byte is read
    most = limits.image_bytes if kind == "image" else limits.video_bytes
    scheduler.check_queue()
    name, folder = scheduler.store.new_folder()
    try:
        path = folder / "upload"
        # without a place in the queue yet: those who dawdle would keep others out
        body = scheduler.space.receive(request.stream(), _announced(request), path, most, limits.idle)
        await _until_closing(scheduler, body)
        async with scheduler.arriving():
            facts = await scheduler.look(path)
            if facts["kind"] != kind:
                raise Refused(415, f"this is no {kind}; send it to /v1/{facts['kind']}s")
            options["suffix"] = wanted_suffix(accept, kind, facts["suffix"])
            found = Job(name, who, kind, "queued", phase, options, facts, awaited=awaited)
            await asyncio.to_thread(path.rename, scheduler.source(found))
    except BaseException:
        scheduler.store.remove(name)
        raise
    scheduler.add(found)
    return found


async def _until_closing(scheduler: Scheduler, receiving: Coroutine[Any, Any, None]) -> None:
    """Wait for a body. `Refused` (503) if the service is to stop before it is there."""
    task = asyncio.create_task(receiving)
    try:
        while not task.done():
            if scheduler.closing:
                raise _stopping()
            await asyncio.wait([task], timeout=_GLANCE)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    task.result()


def _stopping() -> Refused:
    return Refused(503, "the service is being stopped", 30)


def _announced(request: Request) -> int | None:
    length = request.headers.get("content-length", "")
    return int(length) if length.isdecimal() else None


async def _wait(request: Request, scheduler: Scheduler, job: Job) -> Job | None:
    """The job when it has ended; None if the client went away before, or the service is to stop."""
    while not scheduler.closing:
        ended = await scheduler.ended(job.id, _GLANCE)
        if ended is not None:
            return ended
        if await request.is_disconnected():
            return None
    return None


def _check_options(kind: str, chosen: dict[str, Any]) -> None:
    if kind == "video" and "stages" in chosen:
        raise Refused(422, "stages: only photos have them")


async def _changes(scheduler: Scheduler, job: str) -> AsyncIterator[str]:
    last, silent = "", 0.0
    while not scheduler.closing:
        found = scheduler.store.get(job)
        if found is None:
            return
        text = _view(scheduler, found).model_dump_json()
        if text != last:
            yield f"data: {text}\n\n"
            last, silent = text, 0.0
        elif silent > _SILENCE:
            # so that nobody between us takes the connection for dead
            yield ": still here\n\n"
            silent = 0.0
        if found.state in ("done", "failed", "cancelled"):
            return
        await asyncio.sleep(_EVENT_STEP)
        silent += _EVENT_STEP


def _scheduler(request: Request) -> Scheduler:
    scheduler: Scheduler = request.app.state.scheduler
    return scheduler


def _find(scheduler: Scheduler, job: str, who: str) -> Job:
    found = scheduler.store.find(job, who)
    if found is None or found.awaited:
        raise Refused(404, "there is no such job; it may have expired")
    return found


def _view(scheduler: Scheduler, job: Job) -> JobView:
    live = scheduler.live(job.id)
    going = job.state in ("queued", "running")
    left = scheduler.pace.left(job, live) if going else None
    done = live.done if live else (job.ran or {}).get("frames", 0)
    files = {
        name: schema.FileView(url=f"/v1/jobs/{job.id}/files/{name}", type=media_type(path), bytes=path.stat().st_size)
        for name, path in scheduler.files(job).items()
    }
    told = {
        "id": job.id,
        "kind": job.kind,
        "state": job.state,
        "phase": job.phase,
        "ahead": scheduler.store.ahead(job) if job.state == "queued" else 0,
        "done": done,
        "total": (live.total if live else None) or _frames(job),
        "seconds_left": None if left is None else round(left, 1),
        "width": job.facts["width"],
        "height": job.facts["height"],
        "options": {key: value for key, value in job.options.items() if key != "suffix"},
        "ran": None if job.ran is None else schema.Ran(**job.ran),
        "error": job.error,
        "expires": None if job.ended is None else job.ended + scheduler.limits.keep,
        "files": files,
    }
    return JobView.model_validate(told)


def _frames(job: Job) -> int | None:
    """How many frames there probably are to do, before the work says so itself."""
    if job.kind == "image":
        return 1
    return None if job.phase == "preview" and job.state != "waiting" else job.facts.get("frames")


def _accepted(scheduler: Scheduler, job: Job) -> Response:
    headers = {"Location": f"/v1/jobs/{job.id}", "Preference-Applied": "respond-async"}
    return JSONResponse(_view(scheduler, job).model_dump(), 202, headers)


def _problem(refused: Refused) -> Response:
    headers = {} if refused.retry_after is None else {"Retry-After": str(refused.retry_after)}
    if refused.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse({"detail": refused.detail}, refused.status, headers)


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    return _problem(error)


async def _wrong(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    told: Sequence[Any] = error.errors()
    lines = [f"{'.'.join(str(part) for part in each['loc'][1:])}: {each['msg']}" for each in told]
    return _problem(Refused(422, "; ".join(lines)))


async def _plain_problem(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"detail": error.detail}, error.status_code, error.headers)


async def _gone(_: Request, error: Exception) -> Response:
    return _GONE
