"""Three minutes of mixed requests to `unrain serve` on loopback.

    python benchmarks/soak.py [--seconds 180]

Ends with status 1 if memory grew, a file was left behind, or an answer was not a documented one.
"""

from __future__ import annotations

import argparse
import io
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from functools import cache
from itertools import islice
from pathlib import Path

import av
import httpx
import numpy as np
import psutil
from PIL import Image

SAMPLES = Path(__file__).parents[1] / "samples"
CLIENTS = 4
GROWTH = 1.15
"""The most memory in the last third against that in the one before."""


def start(data: Path, threads: int, megapixels: float = 50) -> tuple[subprocess.Popen[str], str]:
    """A service that is ready, and its address."""
    program = [sys.executable, "-c", "from unrain.cli import main; main()", "serve", "--port", "0"]
    options = ["--data", str(data), "--threads", str(threads), "--queue", "4", "--image-megapixels", str(megapixels)]
    process = subprocess.Popen([*program, *options], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    url = process.stdout.readline().split()[3]
    while httpx.get(f"{url}/ready").status_code != 200:
        time.sleep(0.2)
    return process, url


def picture(width: int, height: int, name: str) -> bytes:
    """A piece of the sample photo."""
    out = io.BytesIO()
    with Image.open(SAMPLES / "friends.jpg") as image:
        image.convert("RGB").crop((200, 100, 200 + width, 100 + height)).save(out, name)
    return out.getvalue()


@cache
def film() -> bytes:
    """A dozen frames of the sample video, made small."""
    out = io.BytesIO()
    with av.open(str(SAMPLES / "picos.mp4")) as source, av.open(out, "w", "mp4") as target:
        stream = target.add_stream("libx264", 25)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for frame in islice(source.decode(video=0), 12):
            target.mux(stream.encode(frame.reformat(96, 64, "yuv420p")))
        target.mux(stream.encode(None))
    return out.getvalue()


class Client(threading.Thread):
    """Sends what comes to mind until `end`."""

    def __init__(self, url: str, end: float, seed: int) -> None:
        super().__init__()
        self._random, self._end = random.Random(seed), end
        self._http = httpx.Client(base_url=url, timeout=120)
        self.seen: Counter[str] = Counter()
        self.wrong: list[str] = []

    def run(self) -> None:
        """See `Thread`."""
        requests = (self.photo, self.photo, self.job, self.leave, self.nonsense, self.bomb, self.video, self.film)
        with self._http:
            while time.monotonic() < self._end:
                self._random.choice(requests)()

    def photo(self) -> None:
        """Wait for a photo."""
        size = self._random.choice(((64, 48), (96, 80)))
        content = picture(*size, self._random.choice(("JPEG", "PNG", "WEBP")))
        query = {"quality": self._random.choice(("fast", "balanced", "best"))}
        self._check("photo", self._http.post("/v1/images", content=content, params=query), 200, 429)

    def job(self) -> None:
        """A photo as a job, to its end."""
        headers = {"Prefer": "respond-async"}
        sent = self._http.post("/v1/images", content=picture(64, 48, "PNG"), headers=headers, params={"layers": True})
        if self._check("job", sent, 202, 429) == 202:
            self._follow(sent.json()["id"], "done")

    def video(self) -> None:
        """A video that is given up after a while."""
        sent = self._http.post("/v1/videos", content=(SAMPLES / "picos.mp4").read_bytes(), params={"preview": True})
        if self._check("video", sent, 202, 429) == 202:
            time.sleep(self._random.uniform(0, 4))
            job = sent.json()["id"]
            self._check("cancel", self._http.post(f"/v1/jobs/{job}/cancel"), 200)
            self._check("delete", self._http.delete(f"/v1/jobs/{job}"), 204)

    def film(self) -> None:
        """A short video, to its end."""
        query = {"quality": self._random.choice(("fast", "balanced"))}
        sent = self._http.post("/v1/videos", content=film(), params=query)
        if self._check("film", sent, 202, 429) == 202:
            self._follow(sent.json()["id"], "done")

    def leave(self) -> None:
        """Go away before the answer comes."""
        try:
            self._http.post("/v1/images", content=picture(96, 80, "PNG"), timeout=0.1)
        except httpx.TimeoutException:
            self.seen["left"] += 1

    def nonsense(self) -> None:
        """Bytes that are no picture."""
        content = self._random.randbytes(self._random.randrange(1, 100_000))
        self._check("nonsense", self._http.post("/v1/images", content=content), 415, 429)

    def bomb(self) -> None:
        """A picture beyond the limit."""
        out = io.BytesIO()
        Image.fromarray(np.zeros((2000, 2000), np.uint8)).save(out, "PNG")
        self._check("bomb", self._http.post("/v1/images", content=out.getvalue()), 413, 429)

    def _follow(self, job: str, state: str) -> None:
        last: dict[str, str] = {}
        while last.get("state") not in ("done", "failed", "cancelled"):
            time.sleep(0.2)
            last = self._http.get(f"/v1/jobs/{job}").json()
        if last["state"] != state:
            self.wrong.append(f"a job ended as {last['state']}: {last['error']}")
        self._check("delete", self._http.delete(f"/v1/jobs/{job}"), 204)

    def _check(self, what: str, answer: httpx.Response, *expected: int) -> int:
        self.seen[f"{what} {answer.status_code}"] += 1
        if answer.status_code not in expected:
            self.wrong.append(f"{what}: {answer.status_code} {answer.text[:200]}")
        return answer.status_code


def peaks(pid: int, seconds: float) -> tuple[float, float]:
    """The most megabytes that the service takes in these seconds, and the most that all its workers take."""
    end, own, workers = time.monotonic() + seconds, 0.0, 0.0
    while time.monotonic() < end:
        own = max(own, memory(psutil.Process(pid)))
        workers = max(workers, sum(memory(child) for child in psutil.Process(pid).children()))
        time.sleep(0.25)
    return own, workers


def memory(process: psutil.Process) -> float:
    """Megabytes of a process; none if it has just ended."""
    try:
        return float(process.memory_info().rss / 1e6)
    except psutil.NoSuchProcess:
        return 0.0


def soak(seconds: float) -> int:
    """Send mixed requests, and print what came of it; 0 if all was well."""
    with tempfile.TemporaryDirectory() as folder:
        process, url = start(Path(folder), 1, 1)
        try:
            return _soak(process.pid, url, Path(folder), seconds)
        finally:
            process.terminate()
            process.wait()


def _soak(pid: int, url: str, folder: Path, seconds: float) -> int:
    clients = [Client(url, time.monotonic() + seconds, seed) for seed in range(CLIENTS)]
    for client in clients:
        client.start()
    time.sleep(seconds / 3)
    early, late = peaks(pid, seconds / 3), peaks(pid, seconds / 3)
    for client in clients:
        client.join()
    time.sleep(5)
    left = [path.name for path in (folder / "jobs").iterdir()]
    seen = sum((client.seen for client in clients), Counter[str]())
    wrong = [line for client in clients for line in client.wrong]
    print(", ".join(f"{what}: {count}" for what, count in sorted(seen.items())))
    print(f"service {early[0]:.0f} → {late[0]:.0f} MB, its workers {early[1]:.0f} → {late[1]:.0f} MB")
    print(f"left behind: {left or 'nothing'}")
    print(f"wrong: {wrong or 'nothing'}")
    grew = late[0] > GROWTH * early[0] or late[1] > GROWTH * early[1]
    return int(bool(left or wrong or grew))


def main() -> int:
    """Parse the arguments, and do it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=180)
    return soak(parser.parse_args().seconds)


if __name__ == "__main__":
    sys.exit(main())
