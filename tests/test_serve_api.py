"""The HTTP API as a client sees it: photos, video jobs, and what becomes of jobs when the service dies."""

from __future__ import annotations

import io
import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from media_samples import clip as make_clip
from numpy.typing import NDArray
from PIL import Image

import unrain

pytest.importorskip("fastapi", reason="the extra 'web' is not installed")
from serve_service import Service, serving, wait_for

from unrain.serve.store import Job, Store

Pixels = NDArray[np.float32]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with serving(tmp_path_factory.mktemp("jobs")) as running:
        yield running


@pytest.fixture(scope="module")
def jpeg(photo: Pixels) -> bytes:
    return encoded(photo, "JPEG")


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return make_clip(tmp_path_factory.mktemp("clip") / "rain.mp4", still=False, sound=True).read_bytes()


@pytest.fixture(scope="module")
def long_video(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return make_clip(tmp_path_factory.mktemp("clip") / "long.mp4", frames=600).read_bytes()


def encoded(pixels: Pixels, name: str) -> bytes:
    out = io.BytesIO()
    Image.fromarray((pixels * 255).round().astype(np.uint8)).save(out, name)
    return out.getvalue()


def cleaned(content: bytes, folder: Path, suffix: str, **options: Any) -> bytes:
    """What `unrain clean` writes for the same bytes."""
    source, target = folder / f"in{suffix}", folder / f"out{suffix}"
    source.write_bytes(content)
    (outcome,) = unrain.clean(source, target, threads=1, **options)
    assert outcome.error is None
    return target.read_bytes()


def left_over(service: Service) -> list[str]:
    return [path.name for path in (service.data / "jobs").iterdir()]


@pytest.mark.parametrize(("name", "suffix"), [("JPEG", ".jpg"), ("PNG", ".png"), ("WEBP", ".webp")])
def test_photo_comes_back_as_the_command_line_writes_it(
    service: Service, photo: Pixels, tmp_path: Path, name: str, suffix: str
) -> None:
    content = encoded(photo, name)
    answer = service.http.post("/v1/images", content=content)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == f"image/{name.lower()}"
    assert answer.headers["unrain-model"] == "sapnet"
    assert answer.content == cleaned(content, tmp_path, suffix)


@pytest.mark.parametrize(("quality", "model"), [("fast", "sapnet-fast"), ("best", "sapnet")])
def test_quality_of_a_photo_is_that_of_the_command_line(
    service: Service, jpeg: bytes, tmp_path: Path, quality: str, model: str
) -> None:
    answer = service.http.post("/v1/images", content=jpeg, params={"quality": quality})
    assert answer.headers["unrain-model"] == model
    assert quality != "best" or answer.headers["unrain-precision"] == "fp32"
    assert answer.content == cleaned(jpeg, tmp_path, ".jpg", quality=quality)


def test_moving_picture_says_what_cleaned_it(service: Service, photo: Pixels) -> None:
    frames = [Image.fromarray((np.roll(photo, number, 1) * 255).astype(np.uint8)) for number in range(2)]
    out = io.BytesIO()
    frames[0].save(out, "WEBP", save_all=True, append_images=frames[1:])
    answer = service.http.post("/v1/images", content=out.getvalue(), params={"layers": True})
    assert answer.headers["unrain-model"] == "j4rnet"


def test_stages_and_strength_change_the_photo(service: Service, photo: Pixels, tmp_path: Path) -> None:
    content = encoded(photo, "PNG")
    one = service.http.post("/v1/images", content=content, params={"stages": 1})
    assert one.content == cleaned(content, tmp_path, ".png", stages=1)
    none = service.http.post("/v1/images", content=content, params={"strength": 0})
    with Image.open(io.BytesIO(none.content)) as untouched, Image.open(io.BytesIO(content)) as source:
        assert np.array_equal(np.asarray(untouched), np.asarray(source))


@pytest.mark.parametrize(
    ("accept", "given"),
    [
        ("image/webp", "image/webp"),
        ("image/*", "image/jpeg"),
        ("image/avif,image/png;q=0.9,*/*;q=0.1", "image/png"),
        ("image/jpeg;q=0, image/*", "image/bmp"),
    ],
)
def test_content_type_is_negotiated(service: Service, jpeg: bytes, accept: str, given: str) -> None:
    answer = service.http.post("/v1/images", content=jpeg, headers={"Accept": accept})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == given


def test_type_that_cannot_be_written_is_refused_before_the_upload(service: Service, jpeg: bytes) -> None:
    answer = service.http.post("/v1/images", content=jpeg, headers={"Accept": "application/pdf"})
    assert answer.status_code == 406


def test_photo_can_be_a_job_with_its_streaks(service: Service, jpeg: bytes, tmp_path: Path) -> None:
    answer = service.http.post("/v1/images", content=jpeg, params={"layers": True}, headers={"Prefer": "respond-async"})
    assert answer.status_code == 202
    job = service.wait_state(answer.json()["id"], "done")
    assert service.http.get(job["files"]["clean"]["url"]).content == cleaned(jpeg, tmp_path, ".jpg")
    assert service.http.get(job["files"]["source"]["url"]).content == jpeg
    with Image.open(io.BytesIO(service.http.get(job["files"]["streaks"]["url"]).content)) as streaks:
        assert streaks.size == (96, 80)
    assert service.http.delete(f"/v1/jobs/{job['id']}").status_code == 204


def test_video_is_a_job_whose_events_end_with_the_result(service: Service, video: bytes, tmp_path: Path) -> None:
    job = service.send_video(video)
    seen = []
    with service.http.stream("GET", f"/v1/jobs/{job['id']}/events") as events:
        assert events.headers["content-type"].startswith("text/event-stream")
        seen += [json.loads(line[6:]) for line in events.iter_lines() if line.startswith("data: ")]
    assert [each["state"] for each in seen][-1] == "done"
    assert seen[-1]["done"] == 12
    assert seen[-1]["ran"]["model"] == "j4rnet"
    result = service.http.get(seen[-1]["files"]["clean"]["url"])
    assert result.headers["content-type"] == "video/mp4"
    assert result.content == cleaned(video, tmp_path, ".mp4")
    part = service.http.get(seen[-1]["files"]["clean"]["url"], headers={"Range": "bytes=10-19"})
    assert part.status_code == 206
    assert part.content == result.content[10:20]


def test_preview_shows_one_second_and_waits(service: Service, video: bytes, tmp_path: Path) -> None:
    job = service.send_video(video, preview=True)
    waiting = service.wait_state(job["id"], "waiting")
    names = {"source", "preview-rainy", "preview-clean", "preview-streaks", "preview-degradation"}
    assert waiting["files"].keys() == names
    assert service.http.get(waiting["files"]["preview-degradation"]["url"]).content[4:8] == b"ftyp"
    service.http.post(f"/v1/jobs/{job['id']}/start", params={"layers": True})
    done = service.wait_state(job["id"], "done")
    assert done["files"].keys() == names | {"clean", "streaks", "degradation"}
    assert service.http.get(done["files"]["clean"]["url"]).content == cleaned(video, tmp_path, ".mp4", layers=True)
    for name in ("streaks", "degradation"):
        view = tmp_path / f"out.mp4.{name}.mp4"
        assert service.http.get(done["files"][name]["url"]).content == view.read_bytes()


def test_fast_quality_of_a_video_is_that_of_the_command_line(service: Service, video: bytes, tmp_path: Path) -> None:
    job = service.wait_state(service.send_video(video, quality="fast", preview=True)["id"], "waiting")
    assert job["files"].keys() > {"source", "preview-rainy", "preview-clean"}
    service.http.post(f"/v1/jobs/{job['id']}/start")
    done = service.wait_state(job["id"], "done")
    assert done["ran"]["model"] == "j4rnet-fast"
    assert service.http.get(done["files"]["clean"]["url"]).content == cleaned(video, tmp_path, ".mp4", quality="fast")
    service.http.post(f"/v1/jobs/{job['id']}/start", params={"quality": "best", "layers": True})
    again = service.wait_state(job["id"], "done")
    assert (again["ran"]["model"], again["ran"]["precision"]) == ("j4rnet", "fp32")
    assert again["files"].keys() >= {"clean", "streaks", "degradation"}


def test_running_video_is_cancelled_and_started_again(service: Service, long_video: bytes) -> None:
    job = service.send_video(long_video)["id"]
    wait_for(lambda: service.job(job)["done"] > 0, 60)
    stopped = service.http.post(f"/v1/jobs/{job}/cancel").json()
    assert stopped["state"] == "cancelled"
    assert stopped["files"].keys() == {"source"}
    # as a video leaves it that was stopped after its first segment
    (service.data / "jobs" / job / ".clean.mp4.unrain").mkdir(exist_ok=True)
    assert service.http.post(f"/v1/jobs/{job}/start").json()["state"] == "queued"
    assert service.http.post(f"/v1/jobs/{job}/start").status_code == 409
    wait_for(lambda: service.job(job)["done"] > 0, 60)
    assert service.http.delete(f"/v1/jobs/{job}").status_code == 204
    assert service.http.get(f"/v1/jobs/{job}").status_code == 404
    assert job not in left_over(service)


def test_photo_does_not_wait_for_a_video(service: Service, long_video: bytes, jpeg: bytes) -> None:
    job = service.send_video(long_video)["id"]
    service.wait_state(job, "running")
    assert service.http.post("/v1/images", content=jpeg).status_code == 200
    assert service.job(job)["state"] == "running"
    service.http.delete(f"/v1/jobs/{job}")


def test_photo_leaves_nothing_behind(service: Service, jpeg: bytes) -> None:
    before = left_over(service)
    assert service.http.post("/v1/images", content=jpeg).status_code == 200
    wait_for(lambda: left_over(service) == before, 5)


def test_metrics_count_requests_and_jobs(service: Service, jpeg: bytes) -> None:
    assert service.http.post("/v1/images", content=jpeg).status_code == 200
    text = service.http.get("/metrics").text
    assert re.search(r'unrain_requests_total\{method="POST",route="/v1/images",status="200"\} [1-9]', text)
    assert re.search(r'unrain_jobs_ended_total\{kind="image",state="done"\} [1-9]', text)


def test_killed_service_loses_no_accepted_job(tmp_path: Path, long_video: bytes, video: bytes, jpeg: bytes) -> None:
    with serving(tmp_path) as service:
        first = service.send_video(long_video)["id"]
        second = service.send_video(video)["id"]
        photo = service.http.post("/v1/images", content=jpeg, headers={"Prefer": "respond-async"}).json()["id"]
        service.wait_state(photo, "done")
        wait_for(lambda: service.job(first)["done"] > 0, 60)
        workers = psutil.Process(service.pid).children()
        service.kill()
    _, alive = psutil.wait_procs(workers, timeout=5)
    assert not alive
    with serving(tmp_path) as again:
        assert again.job(first)["state"] in ("queued", "running")
        assert again.job(photo)["state"] == "done"
        wait_for(lambda: again.job(first)["done"] > 0, 60)
        again.http.delete(f"/v1/jobs/{first}")
        done = again.wait_state(second, "done")
        assert again.http.get(done["files"]["clean"]["url"]).content[4:8] == b"ftyp"


def test_job_that_stopped_the_service_three_times_is_failed(tmp_path: Path) -> None:
    facts = {"width": 1, "height": 1, "suffix": ".mp4"}
    starts = {"first": 1, "third": 3, "awaited": 1}
    store = Store(tmp_path)
    for name, count in starts.items():
        (tmp_path / "jobs" / name).mkdir()
        store.save(Job(name, "", "video", "running", "clean", {}, facts, starts=count, awaited=name == "awaited"))
    (tmp_path / "jobs" / "of-no-job").mkdir()
    (tmp_path / "jobs" / "first" / ".clean.tmp-1-abc.mp4").touch()
    store.close()
    store = Store(tmp_path)
    store.recover()
    assert {job.id: job.state for job in store.all()} == {"first": "queued", "third": "failed"}
    assert sorted(path.name for path in (tmp_path / "jobs").rglob("*")) == ["first", "third"]
    store.close()


def test_service_that_is_told_to_stop_answers_first_and_says_no_more(
    tmp_path: Path, scene: Pixels, capfd: pytest.CaptureFixture[str]
) -> None:
    with serving(tmp_path) as service, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(service.http.post, "/v1/images", content=encoded(scene, "PNG"), params={"stages": 12})
        wait_for(lambda: left_over(service), 20)
        time.sleep(0.5)
        service.terminate()
        assert waiting.result().status_code == 503
    assert "Traceback" not in capfd.readouterr().err


def test_uploads_are_answered_when_the_service_is_told_to_stop_and_it_says_no_more(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with ExitStack() as stack:
        service = Service(tmp_path)
        stack.callback(service.stop)
        uploads = [stack.enter_context(socket.create_connection(service.address, 20)) for _ in range(2)]
        for upload, kind in zip(uploads, ("images", "videos"), strict=True):
            head = f"POST /v1/{kind} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100000\r\n\r\n"
            upload.sendall(head.encode() + b"only the beginning")
        wait_for(lambda: len(list(tmp_path.glob("jobs/*/upload"))) == 2, 20)
        service.terminate()
        assert [upload.recv(12) for upload in uploads] == [b"HTTP/1.1 503"] * 2
    assert not list(tmp_path.glob("jobs/*"))
    assert capfd.readouterr().err == ""


def test_second_service_does_not_take_the_same_folder(service: Service) -> None:
    program = [str(Path(sys.executable).with_name("unrain")), "serve", "--port", "0", "--data", str(service.data)]
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "another unrain serve" in done.stderr


def test_serving_never_imports_torch() -> None:
    code = "import sys, unrain.serve.server, unrain.serve.worker; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_worker_that_dies_fails_its_job_and_no_other(service: Service, long_video: bytes, jpeg: bytes) -> None:
    job = service.send_video(long_video)["id"]
    wait_for(lambda: service.job(job)["done"] > 0, 60)
    workers = psutil.Process(service.pid).children()
    before = [sum(each.cpu_times()) for each in workers]
    wait_for(lambda: service.job(job)["done"] > 60, 60)
    worked = [sum(each.cpu_times()) - spent for each, spent in zip(workers, before, strict=True)]
    workers[worked.index(max(worked))].kill()
    assert "died" in service.wait_state(job, "failed")["error"]
    assert service.http.post("/v1/images", content=jpeg).status_code == 200


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
def test_engine_reports_to_nobody(tmp_path: Path, engine: str) -> None:
    code = (
        "import sys, socket, unrain\n"
        "def refuse(*_): raise AssertionError('a connection')\n"
        "socket.socket.connect = refuse\n"
        f"assert unrain.load('sapnet-fast', engine='{engine}').engine.device\n"
        "assert sys.modules.get('openvino_telemetry') is None\n"
    )
    # tests of others may have set these, and ONNX Runtime is silent in them anyhow
    quiet = ("ORT_DISABLE_TELEMETRY", "CI", "GITHUB_ACTIONS")
    known = {name: value for name, value in os.environ.items() if name not in quiet}
    # whoever reports keeps a name for the machine in the cache, and what is still to be sent
    folders = {"XDG_CACHE_HOME": str(tmp_path), "HOME": str(tmp_path), "TMPDIR": str(tmp_path)}
    subprocess.run([sys.executable, "-c", code], check=True, env=known | folders)
    assert {path.name for path in tmp_path.iterdir()} <= {"unrain"}
