"""The work: which job runs when, in which process, how it is stopped, and what is known of it while it runs.

What outlives the service is kept by store.py; the processes themselves are worker.py.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unrain import weights
from unrain.serve.limits import Limits, Refused, Space
from unrain.serve.metrics import Metrics
from unrain.serve.schema import BALANCED
from unrain.serve.store import Job, Store

KINDS = ("image", "video")
_LOOK_TIME = 20.0
_LOAD_TIME = 120.0
_CANCEL_GRACE = 1.5
_KILL_TIME = 5.0
_EXPIRY_STEP = 20.0
_ANY_SIZE = 2**62

_log = logging.getLogger(__name__)


class WorkerDied(Exception):
    """The process ended in the middle of an order."""


class WorkerProcess:
    """One process of worker.py, started when it is needed, and again after it died."""

    def __init__(self, engine: str, threads: int | None, pixels: int, most: int) -> None:
        self._arguments = (engine, str(threads or 0), str(pixels), str(most))
        self._process: Process | None = None

    async def order(
        self, order: dict[str, Any], hear: Callable[[dict[str, Any]], None], limit: float
    ) -> dict[str, Any]:
        """Have an order done; `hear` gets the events on the way, and the last one is returned.

        Raises `WorkerDied`, and `TimeoutError` after `limit` seconds; the process is gone then.
        """
        process = await self._running()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            async with asyncio.timeout(limit):
                process.stdin.write(json.dumps(order).encode() + b"\n")
                await process.stdin.drain()
                while line := await process.stdout.readline():
                    event: dict[str, Any] = json.loads(line)
                    if event["event"] in ("done", "failed", "cancelled"):
                        return event
                    hear(event)
        except ConnectionError as error:
            await self.stop()
            raise WorkerDied from error
        except (TimeoutError, asyncio.CancelledError):
            await self.stop()
            raise
        await self.stop()
        raise WorkerDied

    async def cancel(self) -> None:
        """Ask the order that is being done to stop, and stop the process if it does not."""
        process = self._process
        if process is None or process.stdin is None:
            return
        with suppress(ConnectionError):
            process.stdin.write(b'{"do": "cancel"}\n')

    async def stop(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is not None:
            with suppress(ProcessLookupError):
                process.kill()
            with suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), _KILL_TIME)

    async def _running(self) -> Process:
        if self._process is None or self._process.returncode is not None:
            program = (sys.executable, "-m", "unrain.serve.worker", *self._arguments)
            # a session of its own, so that Ctrl-C reaches the service alone, which then ends its workers
            self._process = await asyncio.create_subprocess_exec(
                *program, stdin=PIPE, stdout=PIPE, start_new_session=True
            )
        return self._process


@dataclass
class Live:
    """What is known of a running job besides its row."""

    worker: WorkerProcess
    started: float
    done: int = 0
    total: int | None = None
    stopped: bool = False


class Pace:
    """Seconds that a megapixel takes, of a picture and stage or of a frame: moving averages by kind and quality."""

    def __init__(self) -> None:
        self._seconds: dict[tuple[str, str], float] = {}

    def learn(self, job: Job, seconds: float) -> None:
        """A job is done."""
        measured = seconds / _size(job)
        known = self._seconds.get(_sort(job), measured)
        self._seconds[_sort(job)] = 0.5 * known + 0.5 * measured

    def guess(self, kind: str, quality: str, seconds: float) -> None:
        """What is expected for a megapixel before any job of this kind and quality was done."""
        self._seconds.setdefault((kind, quality), seconds)

    def left(self, job: Job, live: Live | None) -> float | None:
        """Seconds until a job is done, once it runs; None where nothing is known yet."""
        spent = time.monotonic() - live.started if live else 0.0
        if live and live.total and live.done and job.kind == "video":
            return spent / live.done * max(0, live.total - live.done)
        if _sort(job) not in self._seconds:
            return None
        return max(1.0, self._seconds[_sort(job)] * _size(job) - spent)


def _sort(job: Job) -> tuple[str, str]:
    return job.kind, job.options["quality"]


def _size(job: Job) -> float:
    megapixels = float(job.facts["width"] * job.facts["height"]) / 1e6
    if job.kind == "image":
        own = weights.find(weights.QUALITIES[job.options["quality"]][0]).stages
        return megapixels * (job.options.get("stages") or own)
    return megapixels * (job.facts.get("frames") or 1)


class Scheduler:
    """Runs the jobs of a store: pictures and videos in lanes of their own, so that no photo waits for a film."""

    def __init__(
        self, store: Store, space: Space, limits: Limits, metrics: Metrics, engine: str, threads: int | None
    ) -> None:
        self.store, self.space, self.limits, self.metrics = store, space, limits, metrics
        self.pace = Pace()
        self.ready = False
        self.closing = False
        self._engine, self._threads = engine, threads
        self._live: dict[str, Live] = {}
        self._ends: dict[str, asyncio.Event] = {}
        self._wake = {kind: asyncio.Event() for kind in KINDS}
        self._arriving = 0
        self._looker = self._worker(_ANY_SIZE)
        self._looking = asyncio.Lock()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to work, with what an earlier service left."""
        self.store.recover()
        self._tasks = [asyncio.create_task(self._lane(kind)) for kind in KINDS for _ in range(self.limits.workers)]
        self._tasks.append(asyncio.create_task(self._expire()))

    async def stop(self) -> None:
        """End all work; what was running is queued again at the next start."""
        self.ready = False
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._looker.stop()

    def alive(self) -> bool:
        """Whether every lane still works."""
        return bool(self._tasks) and not any(task.done() for task in self._tasks)

    @asynccontextmanager
    async def arriving(self) -> AsyncIterator[None]:
        """A place in the queue for a file that is here, while it is looked at; `Refused` (429) if there is none."""
        self.check_queue()
        self._arriving += 1
        try:
            yield
        finally:
            self._arriving -= 1

    def check_queue(self) -> None:
        """`Refused` (429) if the queue is full, or too many finished jobs lie here."""
        if self.store.count("queued") + self._arriving >= self.limits.queue:
            raise Refused(429, "the queue is full; try again later", 15)
        if self.store.count("waiting", "done", "failed", "cancelled") >= self.limits.kept:
            raise Refused(429, "too many finished jobs lie here; delete some, or try again later", 60)

    async def look(self, path: Path) -> dict[str, Any]:
        """What a file is, see `Worker.look`; `Refused` (415, 413) where it cannot or may not be cleaned."""
        async with self._looking:
            try:
                answer = await self._looker.order({"do": "look", "source": str(path)}, lambda _: None, _LOOK_TIME)
            except (WorkerDied, TimeoutError):
                raise Refused(415, "the file cannot be read as a picture or video") from None
        if answer["event"] != "done":
            raise Refused(415, answer.get("error", "the file cannot be read"))
        self._check_size(answer)
        return {key: value for key, value in answer.items() if key != "event"}

    def _check_size(self, facts: dict[str, Any]) -> None:
        pixels = facts["width"] * facts["height"]
        most = self.limits.image_pixels if facts["kind"] == "image" else self.limits.video_pixels
        if pixels > most:
            size = f"{facts['width']} x {facts['height']}"
            raise Refused(413, f"{size} is more than {most / 1e6:g} megapixels, the most that this service takes")
        if facts["kind"] == "video" and (facts["seconds"] or 0) > self.limits.video_seconds:
            raise Refused(413, f"the video is longer than {self.limits.video_seconds:g} seconds")

    def add(self, job: Job) -> None:
        """Accept a job whose file lies in its folder."""
        self.store.save(job)
        self._wake[job.kind].set()

    def restart(self, job: Job, phase: str, options: dict[str, Any]) -> None:
        """Queue a job again that does not run; what it had made is removed, its source stays.

        So do the finished segments of a video, a folder, which are of use if nothing else is asked for this time.
        """
        if job.state in ("queued", "running"):
            raise Refused(409, "the job is already under way")
        self.check_queue()
        kept = {self.source(job), *self._previews(job)}
        for path in self.store.folder(job.id).iterdir():
            if path not in kept and not path.is_dir():
                path.unlink(missing_ok=True)
        job.options.update(options)
        job.state, job.phase, job.error, job.ran, job.starts = "queued", phase, None, None, 0
        job.queued, job.ended = time.time(), None
        self.add(job)

    async def cancel(self, job: Job) -> None:
        """Stop a job; returns when it has stopped. One that has ended stays as it is."""
        live = self._live.get(job.id)
        if live is not None:
            live.stopped = True
            await live.worker.cancel()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._end(job.id).wait(), _CANCEL_GRACE)
            if job.id in self._live:
                await live.worker.stop()
                await self._end(job.id).wait()
        elif job.state in ("queued", "waiting"):
            job.state = "cancelled"
            self._ended(job)

    async def remove(self, job: Job) -> None:
        """Stop a job, and remove all that is kept of it."""
        await self.cancel(job)
        self.store.remove(job.id)
        self._ends.pop(job.id, None)

    async def ended(self, job: str, seconds: float) -> Job | None:
        """The job when it has ended; None if it has not within `seconds`."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._end(job).wait(), seconds)
            return self.store.get(job)
        return None

    def live(self, job: str) -> Live | None:
        """What is known of a running job."""
        return self._live.get(job)

    def source(self, job: Job) -> Path:
        """What was uploaded. It carries the suffix of the result, so that both have the same media type."""
        return self.store.folder(job.id) / f"source{job.facts['suffix']}"

    def result(self, job: Job) -> Path:
        """Where the clean file lies, or will lie."""
        return self.store.folder(job.id) / f"clean{job.options['suffix']}"

    def files(self, job: Job) -> dict[str, Path]:
        """The files of a job that exist, by the name that the API gives them: of clean.mp4.streaks.mp4, streaks."""
        folder = self.store.folder(job.id)
        paths = [path for path in folder.iterdir() if not path.name.startswith(".")] if folder.exists() else []
        return {path.stem.rpartition(".")[2]: path for path in sorted(paths)}

    def _previews(self, job: Job) -> list[Path]:
        return [path for name, path in self.files(job).items() if name.startswith("preview-")]

    def _end(self, job: str) -> asyncio.Event:
        return self._ends.setdefault(job, asyncio.Event())

    def _worker(self, pixels: int) -> WorkerProcess:
        return WorkerProcess(self._engine, self._threads, pixels, self.limits.disk)

    async def _lane(self, kind: str) -> None:
        worker = self._worker(self.limits.image_pixels)
        try:
            if kind == "image":
                await self._warm_up(worker)
            while True:
                self._wake[kind].clear()
                job = self.store.next(kind)
                if job is None:
                    await self._wake[kind].wait()
                    continue
                await self._run(job, worker)
        finally:
            await worker.stop()

    async def _warm_up(self, worker: WorkerProcess) -> None:
        order = {"do": "load", "quality": BALANCED, "source": ""}
        try:
            answer = await worker.order(order, lambda _: None, _LOAD_TIME)
        except (WorkerDied, TimeoutError):
            answer = {"event": "failed", "error": "the worker does not start"}
        self.ready = answer["event"] == "done"
        if self.ready:
            self.pace.guess("image", BALANCED, answer["pace"])
        else:
            _log.error("the model cannot be loaded: %s", answer["error"])

    async def _run(self, job: Job, worker: WorkerProcess) -> None:
        live = self._live[job.id] = Live(worker, time.monotonic())
        self._end(job.id).clear()
        job.state, job.starts = "running", job.starts + 1
        self.store.save(job)

        def hear(event: dict[str, Any]) -> None:
            live.total, live.done = event.get("total", live.total), event.get("done", live.done)

        limit = self.limits.image_time if job.kind == "image" else self.limits.video_time
        try:
            answer = await worker.order(self._order(job), hear, limit)
        except WorkerDied:
            answer = {
                "event": "failed",
                "error": "the worker died of this file; it is damaged or needs too much memory",
            }
        except TimeoutError:
            answer = {"event": "failed", "error": f"it took longer than {limit:g} seconds, and was stopped"}
        except asyncio.CancelledError:
            # the service ends in order, so the job is not to blame
            job.starts -= 1
            self.store.save(job)
            raise
        finally:
            del self._live[job.id]
        self.store.sweep(job.id)
        self._conclude(job, answer, live.stopped)

    def _order(self, job: Job) -> dict[str, Any]:
        frames = job.facts.get("frames")
        return {
            "do": job.phase,
            "kind": job.kind,
            "source": str(self.source(job)),
            "target": str(self.result(job)),
            "options": job.options,
            "seconds": self.limits.preview_time,
            # a header may lie about the length; some slack, because it may also be a little wrong
            "most_frames": None if job.kind == "image" else 2 * frames + 100 if frames else 100_000,
        }

    def _conclude(self, job: Job, answer: dict[str, Any], stopped: bool) -> None:
        if answer["event"] == "done":
            job.state = "waiting" if job.phase == "preview" else "done"
            job.ran = answer["ran"] | {"frames": answer["frames"]}
            if job.phase == "clean":
                self.pace.learn(job, answer["ran"]["seconds"])
        elif stopped or answer["event"] == "cancelled":
            job.state = "cancelled"
        else:
            job.state, job.error = "failed", answer["error"]
        self._ended(job)

    def _ended(self, job: Job) -> None:
        job.ended = time.time()
        self.store.save(job)
        self.metrics.ended(job)
        self._end(job.id).set()

    async def _expire(self) -> None:
        while True:
            for job in self.store.expired(time.time() - self.limits.keep):
                await self.remove(job)
            await asyncio.sleep(min(_EXPIRY_STEP, self.limits.keep / 2))
