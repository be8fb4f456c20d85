"""`unrain serve` as a process of its own, for the tests that talk to it. No tests live here."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

TOKEN = "a-token-that-is-long-enough"


class Service:
    """A running service: `url` to talk to, `http` to talk with."""

    def __init__(self, data: Path, *options: object, tokens: str = "") -> None:
        self.data = data
        program = [Path(sys.executable).with_name("unrain"), "serve", "--port", "0", "--data", data, "--threads", "1"]
        self._process = subprocess.Popen(
            [str(part) for part in (*program, *options)],
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"UNRAIN_TOKENS": tokens},
        )
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().split()[3]
        headers = {"Authorization": f"Bearer {tokens.partition(',')[0]}"} if tokens else {}
        self.http = httpx.Client(base_url=self.url, timeout=60, headers=headers)

    @property
    def address(self) -> tuple[str, int]:
        """For a socket of one's own."""
        url = httpx.URL(self.url)
        assert url.port is not None
        return url.host, url.port

    @property
    def pid(self) -> int:
        """The process of the service, not those of its workers."""
        return self._process.pid

    def wait_ready(self) -> None:
        """Until the model is loaded."""
        wait_for(lambda: self.http.get("/ready").status_code == 200, 60)

    def send_video(self, video: bytes, **query: Any) -> dict[str, Any]:
        """A new job."""
        answer = self.http.post("/v1/videos", content=video, params=query)
        assert answer.status_code == 202, answer.text
        job: dict[str, Any] = answer.json()
        return job

    def job(self, job: str) -> dict[str, Any]:
        """A job as it is now."""
        found: dict[str, Any] = self.http.get(f"/v1/jobs/{job}").json()
        return found

    def wait_state(self, job: str, *states: str) -> dict[str, Any]:
        """A job when it is in one of these states."""
        wait_for(lambda: self.job(job)["state"] in states, 60, lambda: self.job(job))
        return self.job(job)

    def kill(self) -> None:
        """As the system does when memory runs out."""
        self._process.send_signal(signal.SIGKILL)
        self.stop()

    def terminate(self) -> None:
        """Tell it to end, and do not wait for it."""
        self._process.terminate()

    def stop(self) -> None:
        """End it in order."""
        self.http.close()
        self._process.terminate()
        self._process.wait(20)
        assert self._process.stdout is not None
        self._process.stdout.close()


@contextmanager
def serving(data: Path, *options: object, tokens: str = "") -> Iterator[Service]:
    """A service that is ready, for a while."""
    service = Service(data, *options, tokens=tokens)
    try:
        service.wait_ready()
        yield service
    finally:
        service.stop()


def wait_for(reached: Any, seconds: float, instead: Any = lambda: "") -> None:
    """Until something is true; fails if it never is, and says what is true `instead`."""
    end = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < end, f"it did not happen in time {instead()}"
        time.sleep(0.05)
