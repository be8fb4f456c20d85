"""What the service refuses, how it says so, and that a normal request beside it goes on as usual."""

from __future__ import annotations

import asyncio
import io
import socket
import struct
import subprocess
import sys
import threading
import time
import zipfile
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from media_samples import clip as make_clip
from numpy.typing import NDArray
from PIL import Image

pytest.importorskip("fastapi", reason="the extra 'web' is not installed")
import httpx
from serve_service import TOKEN, Service, serving, wait_for

from unrain.errors import UnrainError
from unrain.serve.app import create_app
from unrain.serve.auth import access_for
from unrain.serve.jobs import Scheduler
from unrain.serve.limits import Limits, Space
from unrain.serve.metrics import Metrics
from unrain.serve.store import Job, Store

SIZE = 1_000_000
OTHER = "another-token-long-enough"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Small limits, and two tokens."""
    options = ("--image-mb", 1, "--image-megapixels", 1, "--video-mb", 3, "--video-seconds", 5, "--queue", 4)
    with serving(tmp_path_factory.mktemp("jobs"), *options, tokens=f"{TOKEN},{OTHER}") as running:
        yield running


@pytest.fixture(scope="module")
def jpeg(photo: NDArray[np.float32]) -> bytes:
    out = io.BytesIO()
    Image.fromarray((photo * 255).round().astype(np.uint8)).save(out, "JPEG")
    return out.getvalue()


def seconds_of(service: Service, jpeg: bytes) -> float:
    start = time.monotonic()
    assert service.http.post("/v1/images", content=jpeg).status_code == 200
    return time.monotonic() - start


@pytest.fixture(scope="module")
def usual(service: Service, jpeg: bytes) -> float:
    """Seconds of a photo when nobody else is there: the slowest of some, as the machine may be busy."""
    return max(seconds_of(service, jpeg) for _ in range(4))


def check_beside(service: Service, jpeg: bytes, usual: float) -> None:
    """A normal request succeeds in twice its usual time (the best of three: the machine may be busy)."""
    assert min(seconds_of(service, jpeg) for _ in range(3)) < 2 * usual


def png_of(width: int, height: int) -> bytes:
    """A PNG of a few kilobytes that says it is huge, and would be, one bit a pixel."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    rows = zlib.compress(bytes((width // 8 + 1) * 64))
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def test_tiny_file_of_a_huge_picture_is_refused(service: Service, jpeg: bytes, usual: float) -> None:
    for size in ((1001, 1000), (60_000, 60_000)):
        answer = service.http.post("/v1/images", content=png_of(*size))
        assert answer.status_code == 413
        assert "megapixels" in answer.json()["detail"]
    check_beside(service, jpeg, usual)


def test_announced_gigabyte_is_refused_before_it_is_sent(service: Service) -> None:
    with socket.create_connection(service.address, timeout=10) as client:
        head = f"POST /v1/images HTTP/1.1\r\nHost: {service.address[0]}\r\nAuthorization: Bearer {TOKEN}\r\n"
        client.sendall(f"{head}Content-Length: 1000000000\r\n\r\n".encode())
        assert b" 413 " in client.recv(4096)


def test_gigabyte_stream_is_cut_at_the_limit(service: Service, jpeg: bytes, usual: float) -> None:
    """Of a stream that never ends, no more than the limit is kept, and the connection is closed soon."""
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        for _ in range(1000):
            sent += SIZE
            yield bytes(SIZE)

    with AnswerOrClosed() as outcome:
        outcome.append(service.http.post("/v1/images", content=endless()).status_code)
    assert outcome in ([413], [])
    assert sent <= 1000 * SIZE
    assert sum(path.stat().st_size for path in service.data.rglob("upload")) == 0
    check_beside(service, jpeg, usual)


class AnswerOrClosed:
    """The answer, or a connection that was closed while the client still sent."""

    def __enter__(self) -> list[int]:
        self.outcome: list[int] = []
        return self.outcome

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> bool:
        return kind is not None and issubclass(kind, httpx.TransportError)


def test_slow_heads_and_bodies_are_cut_off(service: Service, jpeg: bytes, usual: float) -> None:
    head = f"POST /v1/images HTTP/1.1\r\nHost: {service.address[0]}\r\nAuthorization: Bearer {TOKEN}\r\n"
    with ExitStack() as stack:
        clients = [stack.enter_context(socket.create_connection(service.address, timeout=30)) for _ in range(20)]
        # more bodies than the queue has places
        heads, bodies, silent = clients[:7], clients[7:13], clients[13:]
        for client in heads:
            client.sendall(b"GET /health HTTP/1.1\r\nX-Slow: ")
        for client in bodies:
            client.sendall(f"{head}Content-Length: 1000\r\n\r\nabc".encode())
        check_beside(service, jpeg, usual)
        start = time.monotonic()
        assert [last_words(client, b"x") for client in heads] == [b""] * 7
        assert all(b" 408 " in last_words(client) for client in bodies)
        assert [last_words(client) for client in silent] == [b""] * 7
        assert time.monotonic() - start < 25


def last_words(client: socket.socket, more: bytes = b"") -> bytes:
    """What the service says before it closes a connection, on which a little more was sent."""
    try:
        client.sendall(more)
        return client.recv(4096)
    except ConnectionError:
        return b""


def test_two_hundred_idle_connections_stop_nobody(service: Service, jpeg: bytes, usual: float) -> None:
    clients = [socket.create_connection(service.address, timeout=10) for _ in range(200)]
    check_beside(service, jpeg, usual)
    for client in clients:
        client.close()


def test_two_hundred_requests_are_done_or_sent_away(service: Service, jpeg: bytes) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    many = httpx.Client(base_url=service.url, timeout=60, headers=headers, limits=httpx.Limits(max_connections=200))
    with many, ThreadPoolExecutor(200) as pool:
        answers = list(pool.map(lambda _: many.post("/v1/images", content=jpeg), range(200)))
    assert {answer.status_code for answer in answers} == {200, 429}
    assert all(int(answer.headers["retry-after"]) > 0 for answer in answers if answer.status_code == 429)
    assert service.http.post("/v1/images", content=jpeg).status_code == 200


def test_archive_of_paths_is_no_picture(service: Service) -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as content:
        content.writestr("../../etc/passwd", "x")
        content.writestr("/tmp/owned", "x")
    for route in ("/v1/images", "/v1/videos"):
        answer = service.http.post(route, content=archive.getvalue())
        assert answer.status_code == 415
        check_no_path(service, answer)


@pytest.mark.parametrize("name", ["../../../etc/passwd", "/etc/passwd", "CON", "a\\..\\b", "%2e%2e%2fx", "x\x00y"])
def test_hostile_names_go_nowhere(service: Service, jpeg: bytes, name: str) -> None:
    quoted = name.replace("\x00", "")
    headers = {"Content-Disposition": f'attachment; filename="{quoted}"', "X-File-Name": quoted}
    assert service.http.post("/v1/images", content=jpeg, headers=headers).status_code == 200
    for path in (f"/v1/jobs/{quoted}", f"/{quoted}", f"/examples/{quoted}"):
        answer = service.http.get(path)
        assert answer.status_code in (404, 422)
        assert "root:" not in answer.text
        check_no_path(service, answer)


def test_files_that_are_damaged_or_of_the_wrong_kind_are_refused_without_a_path(
    service: Service, jpeg: bytes, tmp_path: Path
) -> None:
    video = make_clip(tmp_path / "clip.mp4").read_bytes()
    for route, content, status in (
        ("/v1/images", b"no picture", 415),
        ("/v1/images", b"", 400),
        ("/v1/images", jpeg[:900], 422),
        ("/v1/images", video, 415),
        ("/v1/videos", jpeg, 415),
        ("/v1/videos", video[: len(video) // 3], 415),
        ("/v1/videos", b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", 415),
    ):
        answer = service.http.post(route, content=content)
        assert answer.status_code == status, (route, answer.text)
        check_no_path(service, answer)


def test_video_that_is_too_long_is_refused(service: Service, tmp_path: Path) -> None:
    video = make_clip(tmp_path / "long.mp4", frames=150).read_bytes()
    answer = service.http.post("/v1/videos", content=video)
    assert answer.status_code == 413
    assert "5 seconds" in answer.json()["detail"]


def test_full_queue_says_when_to_come_again(service: Service, tmp_path: Path) -> None:
    video = make_clip(tmp_path / "clip.mp4", frames=120).read_bytes()
    answers = [service.http.post("/v1/videos", content=video) for _ in range(7)]
    codes = [answer.status_code for answer in answers]
    assert codes[:4] == [202] * 4
    assert codes[-1] == 429
    assert int(answers[-1].headers["retry-after"]) > 0
    for answer in reversed(answers):
        if answer.status_code == 202:
            service.http.delete(f"/v1/jobs/{answer.json()['id']}")


def test_disk_that_is_used_up_is_said_and_results_expire(tmp_path: Path, jpeg: bytes) -> None:
    with serving(tmp_path, "--disk-mb", 0.5, "--keep", 1) as service:
        assert service.http.post("/v1/images", content=iter([bytes(600_000)])).status_code == 507
        assert service.http.post("/v1/images", content=bytes(600_000)).status_code == 507
        answer = service.http.post("/v1/images", content=jpeg, headers={"Prefer": "respond-async"})
        assert answer.status_code == 202
        wait_for(lambda: service.http.get(f"/v1/jobs/{answer.json()['id']}").status_code == 404, 60)
        assert list((tmp_path / "jobs").iterdir()) == []


def test_token_is_needed_for_everything_that_shows_or_does_something(service: Service, jpeg: bytes) -> None:
    for token in ("", "wrong", TOKEN[:-1], TOKEN + "x"):
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        with httpx.Client(base_url=service.url, timeout=20, headers=headers) as stranger:
            for method, path in (
                ("GET", "/v1/info"),
                ("POST", "/v1/images"),
                ("GET", "/metrics"),
                ("POST", "/v1/session"),
            ):
                answer = stranger.request(method, path, content=jpeg if path == "/v1/images" else None)
                assert answer.status_code == 401, path
                assert answer.headers["www-authenticate"] == "Bearer"
            assert stranger.get("/health").status_code == 200


def test_token_can_be_kept_in_a_cookie_that_scripts_cannot_read(service: Service) -> None:
    with httpx.Client(base_url=service.url, timeout=20) as browser:
        answer = browser.post("/v1/session", headers={"Authorization": f"Bearer {TOKEN}"})
        assert "HttpOnly" in answer.headers["set-cookie"]
        assert "SameSite=strict" in answer.headers["set-cookie"]
        assert browser.get("/v1/info").status_code == 200


def test_job_of_one_token_is_not_there_for_another(service: Service, jpeg: bytes) -> None:
    sent = service.http.post("/v1/images", content=jpeg, headers={"Prefer": "respond-async"})
    path = f"/v1/jobs/{sent.json()['id']}"
    other = {"Authorization": f"Bearer {OTHER}"}
    assert service.http.get(path).status_code == 200
    assert service.http.get(path, headers=other).status_code == 404
    assert service.http.delete(path, headers=other).status_code == 404
    assert service.http.delete(path).status_code == 204


def test_host_and_origin_of_others_are_refused(service: Service, jpeg: bytes) -> None:
    assert service.http.get("/health", headers={"Host": "evil.example"}).status_code == 421
    assert service.http.get("/", headers={"Host": "evil.example"}).status_code == 421
    cross = service.http.post("/v1/images", content=jpeg, headers={"Origin": "https://evil.example"})
    assert cross.status_code == 403
    assert "access-control-allow-origin" not in cross.headers
    own = service.http.post("/v1/images", content=jpeg, headers={"Origin": service.url})
    assert own.status_code == 200


def test_pages_elsewhere_may_call_where_they_were_named(tmp_path: Path) -> None:
    async def run(site: str) -> None:
        app = create_app(tmp_path, access_for("127.0.0.1", [], [], [site]), Limits())
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
            asked = {"Origin": site, "Access-Control-Request-Method": "POST"}
            answer = await client.options("/v1/images", headers=asked)
            assert answer.headers["access-control-allow-origin"] == site
            assert (await client.get("/v1/info", headers={"Origin": "https://other.example"})).status_code == 403

    asyncio.run(run("https://pages.example"))


def test_job_that_takes_too_long_is_failed(tmp_path: Path) -> None:
    async def run() -> Job | None:
        store = Store(tmp_path)
        limits = Limits(video_time=0.05)  # over before the worker has started
        scheduler = Scheduler(store, Space(tmp_path, limits.disk), limits, Metrics(store), "auto", 1)
        name, _ = store.new_folder()
        facts = {"width": 64, "height": 48, "frames": 12, "suffix": ".mp4"}
        options = {"quality": "fast", "strength": 1.0, "layers": False, "suffix": ".mp4"}
        make_clip(scheduler.source(job := Job(name, "", "video", "queued", "clean", options, facts)))
        store.save(job)
        scheduler.start()
        try:
            return await scheduler.ended(name, 30)
        finally:
            await scheduler.stop()
            store.close()

    ended = asyncio.run(run())
    assert ended is not None
    assert (ended.state, ended.error) == ("failed", "it took longer than 0.05 seconds, and was stopped")


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.7", "::"])
def test_service_that_others_reach_needs_tokens(host: str) -> None:
    with pytest.raises(UnrainError, match="UNRAIN_TOKENS"):
        access_for(host, [], [], [])
    with pytest.raises(UnrainError, match="shorter"):
        access_for(host, ["short"], [], [])
    assert access_for(host, [TOKEN], [], []).tokens == (TOKEN,)


def test_service_that_others_reach_does_not_start_without_tokens(tmp_path: Path) -> None:
    program = [str(Path(sys.executable).with_name("unrain")), "serve", "--host", "0.0.0.0", "--data", str(tmp_path)]
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "UNRAIN_TOKENS" in done.stderr


def test_client_that_goes_away_frees_its_place(service: Service, jpeg: bytes) -> None:
    def leave() -> None:
        with socket.create_connection(service.address, timeout=10) as client:
            head = f"POST /v1/images HTTP/1.1\r\nHost: {service.address[0]}\r\nAuthorization: Bearer {TOKEN}\r\n"
            client.sendall(f"{head}Content-Length: 1000\r\n\r\nabc".encode())
            time.sleep(0.2)

    threads = [threading.Thread(target=leave) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wait_for(lambda: not list((service.data / "jobs").iterdir()), 10)
    assert service.http.post("/v1/images", content=jpeg).status_code == 200


def check_no_path(service: Service, answer: httpx.Response) -> None:
    assert str(service.data) not in answer.text
    assert "/jobs/" not in answer.json()["detail"]
