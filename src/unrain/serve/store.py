"""What is kept of jobs: a row each in SQLite, and a folder each for their files. Work is done in jobs.py."""

from __future__ import annotations

import json
import secrets
import shutil
import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from unrain.errors import UnrainError

STATES = ("queued", "running", "waiting", "done", "failed", "cancelled")
_RESTARTS = 3
_TABLE = """
CREATE TABLE IF NOT EXISTS jobs (
    id TEXT PRIMARY KEY, owner TEXT NOT NULL, kind TEXT NOT NULL, state TEXT NOT NULL, phase TEXT NOT NULL,
    options TEXT NOT NULL, facts TEXT NOT NULL, ran TEXT, error TEXT, awaited INTEGER NOT NULL, starts INTEGER NOT NULL,
    created REAL NOT NULL, queued REAL NOT NULL, ended REAL
)
"""


@dataclass
class Job:
    """One photo or video to clean.

    phase: "clean", or "preview" for a video's first second. facts: what was seen of the file before. ran: what cleaned
    it. awaited: somebody waits for the result on an open connection, and without them nobody wants it. starts: how
    often its work began. queued: when it last joined the queue.
    """

    id: str
    owner: str
    kind: str
    state: str
    phase: str
    options: dict[str, Any]
    facts: dict[str, Any]
    ran: dict[str, Any] | None = None
    error: str | None = None
    awaited: bool = False
    starts: int = 0
    created: float = field(default_factory=time.time)
    queued: float = field(default_factory=time.time)
    ended: float | None = None


_JSON = ("options", "facts", "ran")
_COLUMNS = tuple(Job.__dataclass_fields__)


class Store:
    """Jobs on disk. One process at a time; `UnrainError` if another one has the folder."""

    def __init__(self, folder: Path) -> None:
        self._jobs = folder / "jobs"
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._jobs.mkdir(exist_ok=True, mode=0o700)
        except OSError as error:
            raise UnrainError(f"{folder}: cannot keep jobs there: {error.strerror}; choose another --data") from error
        self._database = sqlite3.connect(folder / "jobs.sqlite", isolation_level=None, timeout=1)
        try:
            # held until the process ends, however it ends
            self._database.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = FULL")
            self._database.execute(_TABLE)
        except sqlite3.Error as error:
            self._database.close()
            raise UnrainError(
                f"{folder}: cannot keep jobs there ({error}); is another unrain serve running? choose another --data"
            ) from error

    def close(self) -> None:
        """Let go of the folder."""
        self._database.close()

    def recover(self) -> None:
        """After a start: what was running is queued again, and what nobody waits for or nobody knows is removed.

        A job whose work has begun three times and never ended is failed: it may be what stops the service.
        """
        for job in self.all():
            if job.awaited:
                self.remove(job.id)
            elif job.state == "running" and job.starts >= _RESTARTS:
                job.state, job.error = "failed", f"the service stopped {_RESTARTS} times while it worked on this"
                job.ended = time.time()
                self.save(job)
            elif job.state == "running":
                job.state = "queued"
                self.save(job)
        known = {job.id for job in self.all()}
        for folder in self._jobs.iterdir():
            if folder.name not in known:
                shutil.rmtree(folder, ignore_errors=True)
            else:
                self.sweep(folder.name)

    def new_folder(self) -> tuple[str, Path]:
        """A new job's id, and its folder, for the upload."""
        name = secrets.token_urlsafe(16)
        self.folder(name).mkdir(mode=0o700)
        return name, self.folder(name)

    def folder(self, job: str) -> Path:
        """Where the files of a job lie; `job` is an id that the store made."""
        return self._jobs / job

    def sweep(self, job: str) -> None:
        """Remove what an interrupted writer left; a video's finished segments, a folder, are of use to the next one."""
        for path in self.folder(job).glob(".*"):
            if not path.is_dir():
                path.unlink(missing_ok=True)

    def save(self, job: Job) -> None:
        """Insert or update; on disk when this returns."""
        row = [json.dumps(value) if name in _JSON else value for name, value in vars(job).items()]
        marks = ", ".join("?" * len(_COLUMNS))
        self._database.execute(f"INSERT OR REPLACE INTO jobs ({', '.join(_COLUMNS)}) VALUES ({marks})", row)  # noqa: S608

    def find(self, job: str, owner: str) -> Job | None:
        """A job by id, if it is this owner's."""
        found = self._select("WHERE id = ? AND owner = ?", (job, owner))
        return found[0] if found else None

    def get(self, job: str) -> Job | None:
        """A job by id, whoever owns it."""
        found = self._select("WHERE id = ?", (job,))
        return found[0] if found else None

    def all(self) -> list[Job]:
        """All jobs, the one that was queued first first."""
        return self._select("", ())

    def count(self, *states: str) -> int:
        """How many jobs are in any of these states."""
        marks = ", ".join("?" * len(states))
        query = f"SELECT COUNT(*) FROM jobs WHERE state IN ({marks})"  # noqa: S608
        return int(self._database.execute(query, states).fetchone()[0])

    def ahead(self, job: Job) -> int:
        """How many queued jobs of its kind come before it."""
        query = "SELECT COUNT(*) FROM jobs WHERE kind = ? AND state = 'queued' AND queued < ?"
        return int(self._database.execute(query, (job.kind, job.queued)).fetchone()[0])

    def next(self, kind: str) -> Job | None:
        """The queued job of this kind that came first."""
        found = self._select("WHERE kind = ? AND state = 'queued'", (kind,), "LIMIT 1")
        return found[0] if found else None

    def remove(self, job: str) -> None:
        """Forget a job, and remove its files."""
        # the row first: a folder without a row is removed at the next start
        self._database.execute("DELETE FROM jobs WHERE id = ?", (job,))
        shutil.rmtree(self.folder(job), ignore_errors=True)

    def expired(self, before: float) -> list[Job]:
        """Jobs that ended, or wait for a start, since before this time."""
        return self._select("WHERE state IN ('done', 'failed', 'cancelled', 'waiting') AND ended < ?", (before,))

    def _select(self, where: str, values: Sequence[Any], tail: str = "") -> list[Job]:
        query = f"SELECT {', '.join(_COLUMNS)} FROM jobs {where} ORDER BY queued, created {tail}"  # noqa: S608
        return [_job(row) for row in self._database.execute(query, values)]


def _job(row: Sequence[Any]) -> Job:
    values = dict(zip(_COLUMNS, row, strict=True))
    for name in _JSON:
        values[name] = None if values[name] is None else json.loads(values[name])
    return Job(**values | {"awaited": bool(values["awaited"])})
