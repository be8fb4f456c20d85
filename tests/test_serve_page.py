"""The page in a real browser: what a person does with it, and sees."""

from __future__ import annotations

import io
import json
import os
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from media_samples import clip as make_clip
from numpy.typing import NDArray
from PIL import Image
from serve_service import TOKEN, Service, serving, wait_for

import unrain

pytest.importorskip("fastapi", reason="the extra 'web' is not installed")
sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
OPTIONS = (
    "--no-sandbox --disable-gpu --disable-background-networking --disable-component-update --disable-sync"
    " --no-first-run --disable-dev-shm-usage"
).split()
WAIT = 60_000

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with serving(tmp_path_factory.mktemp("jobs")) as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        yield running
        running.close()


@pytest.fixture
def page(browser: Any, service: Service) -> Iterator[Any]:
    with opened(browser, service.url) as shown:
        yield shown


class opened:
    """A page in a window of its own; fails if the page had an error or asked another host for something."""

    def __init__(self, browser: Any, url: str, **options: Any) -> None:
        self._context = browser.new_context(**options)
        self._url = url
        self.problems: list[str] = []

    def __enter__(self) -> Any:
        page = self._context.new_page()
        page.set_default_timeout(WAIT)
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("request", self._check)
        page.goto(self._url)
        return page

    def _check(self, request: Any) -> None:
        if not request.url.startswith((self._url, "blob:", "data:")):
            self.problems.append(request.url)

    def __exit__(self, kind: object, *_: object) -> None:
        self._context.close()
        assert kind is not None or not self.problems


@pytest.fixture(scope="module")
def jpeg(tmp_path_factory: pytest.TempPathFactory, photo: NDArray[np.float32]) -> Path:
    path = tmp_path_factory.mktemp("photo") / "rainy day.jpg"
    Image.fromarray((photo * 255).round().astype(np.uint8)).save(path)
    return path


@pytest.fixture(scope="module")
def long_video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(tmp_path_factory.mktemp("clip") / "drive.mp4", frames=300, still=False)


def until(page: Any, expression: str) -> None:
    """Until an expression is true on the page, whose policy forbids Playwright to wait for it there."""
    wait_for(lambda: page.evaluate(expression), 60)


def downloaded(page: Any, button: str) -> tuple[str, bytes]:
    with page.expect_download() as download:
        page.click(button)
    return download.value.suggested_filename, Path(download.value.path()).read_bytes()


def cleaned(source: Path, target: Path, **options: Any) -> bytes:
    unrain.clean(source, target, threads=1, **options)
    return target.read_bytes()


def test_photo_is_compared_and_downloaded_as_the_command_line_writes_it(page: Any, jpeg: Path, tmp_path: Path) -> None:
    page.set_input_files("#files", jpeg)
    handle = page.wait_for_selector("[role=slider].handle")
    box = page.locator("#viewer").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 4, box["y"] + box["height"] / 2, steps=4)
    page.mouse.up()
    assert handle.get_attribute("aria-valuenow") == "25"
    handle.press("ArrowRight")
    assert handle.get_attribute("aria-valuenow") == "27"
    page.click("#zoom-in")
    assert page.inner_text("#zoom-now") == "300 %"
    name, content = downloaded(page, "#download")
    assert name == "rainy day_clean.jpg"
    assert content == cleaned(jpeg, tmp_path / "out.jpg")
    assert "sapnet" in page.inner_text("#ran")
    page.get_by_role("tab", name="Streaks").click()
    name, streaks = downloaded(page, "#download")
    assert name == "rainy day_streaks.jpg"
    with Image.open(io.BytesIO(streaks)) as picture:
        assert picture.size == (96, 80)


def test_other_settings_clean_the_photo_again(page: Any, jpeg: Path) -> None:
    page.set_input_files("#files", jpeg)
    page.wait_for_selector("#download:visible")
    first = downloaded(page, "#download")[1]
    page.locator("#stages").fill("1")
    page.click("#again")
    page.wait_for_selector("#again", state="hidden")
    page.wait_for_selector("#download:visible")
    assert downloaded(page, "#download")[1] != first


def test_several_photos_come_in_one_archive(page: Any, jpeg: Path, tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    twin = shutil.copy(jpeg, tmp_path / "b" / jpeg.name)
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    page.set_input_files("#files", [jpeg, twin, broken])
    page.wait_for_selector("#download-all:visible")
    page.wait_for_selector("li.failed")
    assert "is neither a picture" in page.inner_text("li.failed .state")
    name, content = downloaded(page, "#download-all")
    assert name == "unrain.zip"
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["rainy day_clean.jpg", "rainy day_clean-2.jpg"]
        assert archive.read("rainy day_clean.jpg") == cleaned(jpeg, tmp_path / "out.jpg")
    page.get_by_role("button", name="Remove broken.png").click()
    assert page.locator("#list li").count() == 2


def test_video_is_previewed_cancelled_restarted_and_played_side_by_side(page: Any, long_video: Path) -> None:
    page.set_input_files("#files", long_video)
    page.wait_for_selector("#offer:visible")
    tabs = page.locator("#tabs button").all_inner_texts()
    assert tabs == ["Side by side", "Slider", "Streaks", "Degradation"]
    assert page.locator("#viewer video").count() == 2
    page.click("#play")
    until(page, "document.querySelector('#viewer video').currentTime > 0.2")
    first, second = (
        page.evaluate(f"document.querySelectorAll('#viewer video')[{each}].currentTime") for each in (0, 1)
    )
    assert abs(first - second) < 0.2
    page.click("#go")
    until(page, "/[1-9]\\d* of 300 frames/.test(document.getElementById('now-text')?.textContent)")
    page.click("#cancel")
    page.wait_for_selector("li.cancelled")
    page.click("#again")
    until(page, "/[1-9]\\d* of 300 frames/.test(document.getElementById('now-text')?.textContent)")
    assert page.locator("#now-bar").get_attribute("value") is not None
    assert "left" in page.inner_text("#now-left")
    page.reload()
    until(page, "/[1-9]\\d* of 300 frames/.test(document.getElementById('now-text')?.textContent)")
    page.get_by_role("button", name="Remove drive.mp4").click()
    page.wait_for_selector("#empty:visible")


def test_photo_that_finds_the_queue_full_waits_and_says_so(page: Any, jpeg: Path) -> None:
    answers = iter([429, 429])

    def answer(route: Any) -> None:
        status = next(answers, None)
        full = {"body": '{"detail": "full"}', "headers": {"Retry-After": "1"}}
        route.continue_() if status is None else route.fulfill(status=status, **full)

    page.route("**/v1/images*", answer)
    page.set_input_files("#files", jpeg)
    until(page, "document.getElementById('now-text').textContent.includes('service is busy')")
    page.wait_for_selector("#download:visible")


def test_error_is_said_and_a_long_name_stays_in_its_place(page: Any, tmp_path: Path) -> None:
    broken = tmp_path / f"{'a holiday in the rain ' * 6}.png"
    broken.write_bytes(b"no picture")
    page.set_input_files("#files", broken)
    page.wait_for_selector("#ran.wrong")
    assert "is neither a picture" in page.inner_text("#ran")
    until(page, "document.querySelector('.empty-note')?.textContent === 'The browser cannot show this file.'")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    keep_picture(page, "error")


def test_fast_video_is_what_the_command_line_writes(page: Any, jpeg: Path, tmp_path: Path) -> None:
    video = make_clip(tmp_path / "walk.mp4", frames=30, still=False)
    page.set_input_files("#files", jpeg)
    page.select_option("#quality", "fast")
    assert page.locator("#stages").is_disabled()
    page.set_input_files("#files", video)
    page.wait_for_selector("#offer:visible")
    page.click("#go")
    page.wait_for_selector("#download:visible")
    assert "j4rnet-fast" in page.inner_text("#ran")
    assert downloaded(page, "#download") == ("walk_clean.mp4", cleaned(video, tmp_path / "out.mp4", quality="fast"))
    page.select_option("#quality", "balanced")
    page.wait_for_selector("#again:visible")


def test_job_goes_on_after_the_service_was_killed(browser: Any, tmp_path: Path, long_video: Path) -> None:
    frames = "/[1-9]\\d* of 300/.test(document.getElementById('now-text')?.textContent)"
    with serving(tmp_path) as service, opened(browser, service.url) as page:
        page.set_input_files("#files", long_video)
        page.wait_for_selector("#offer:visible")
        page.click("#go")
        until(page, frames)
        service.kill()
        with serving(tmp_path, "--port", service.address[1]) as again:
            (known,) = json.loads(page.evaluate("sessionStorage.getItem('unrain-jobs')"))
            wait_for(lambda: again.job(known["id"])["done"] > 3, 60, lambda: again.job(known["id"]))
            until(page, frames)
            page.get_by_role("button", name="Remove drive.mp4").click()
            wait_for(lambda: not list((tmp_path / "jobs").iterdir()), 20)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_phone_shows_everything_in_its_width(browser: Any, service: Service, jpeg: Path, scheme: str) -> None:
    size = {"width": 390, "height": 844}
    with opened(browser, service.url, viewport=size, has_touch=True, color_scheme=scheme) as page:
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        page.set_input_files("#files", jpeg)
        page.wait_for_selector("#download:visible")
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        for button in page.locator("button:visible, a.button:visible").all():
            box = button.bounding_box()
            assert box["height"] >= 34
            assert box["x"] + box["width"] <= 390 or button.get_attribute("role") == "tab"
        keep_picture(page, f"phone-{scheme}")


def test_words_stand_out_from_their_ground(browser: Any, service: Service) -> None:
    """Contrast of 4.5 to 1 and more (WCAG 2.2, 1.4.3), in both schemes."""
    for scheme in ("light", "dark"):
        with opened(browser, service.url, color_scheme=scheme) as page:
            colours = page.evaluate(
                "['ink','faint','accent','on-accent','paper','card','wash','accent-deep','wrong']"
                ".map(name => [name, getComputedStyle(document.documentElement).getPropertyValue('--' + name).trim()])"
            )
        tone = {name: luminance(value) for name, value in colours}
        pairs = [(ink, ground) for ink in ("ink", "faint") for ground in ("paper", "card", "wash")]
        pairs += [("on-accent", "accent"), ("accent-deep", "wash"), ("wrong", "card")]
        for ink, ground in pairs:
            light, dark = sorted((tone[ink], tone[ground]), reverse=True)
            assert (light + 0.05) / (dark + 0.05) >= 4.5, (scheme, ink, ground)


def test_everything_is_reached_with_the_keyboard(page: Any) -> None:
    seen = set()
    for _ in range(6):
        page.keyboard.press("Tab")
        seen.add(
            page.evaluate("document.activeElement.className + ' ' + (document.activeElement.dataset.example ?? '')")
        )
    assert {"brand ", "primary choose ", "example friends.jpg", "example picos.mp4"} <= seen
    page.locator("[data-example='friends.jpg']").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("#cancel:visible")
    page.locator("#cancel").press("Enter")
    page.wait_for_selector("li.cancelled, li.failed")


def test_first_page_is_there_and_usable_in_a_second_and_a_half(browser: Any, service: Service) -> None:
    """Where the machine is busy, in five times that of a page of a few bytes; benchmarks/page_load.py has numbers."""

    def milliseconds(path: str, there: str) -> float:
        with opened(browser, service.url + path) as page:
            until(page, there)
            return float(page.evaluate("performance.now()"))

    pages = [milliseconds("/", "document.getElementById('takes')?.textContent") for _ in range(4)]
    assert min(pages) < max(1500, 5 * min(milliseconds("/health", "true") for _ in range(4)))


def test_api_has_a_page_of_its_own(browser: Any, service: Service) -> None:
    document = service.http.get("/openapi.json").json()
    size = {"width": 390, "height": 844}
    with opened(browser, service.url, viewport=size) as page:
        page.get_by_role("link", name="API").click()
        page.wait_for_selector("#operations .card")
        assert page.locator("#operations .card").count() == sum(map(len, document["paths"].values()))
        assert "curl -H" in page.inner_text("#operations .card pre >> nth=0")
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        keep_picture(page, "docs")


def test_service_with_tokens_asks_for_one(browser: Any, tmp_path: Path) -> None:
    with serving(tmp_path, tokens=TOKEN) as guarded, opened(browser, guarded.url) as page:
        page.wait_for_selector("#login[open]")
        page.fill("#token", "wrong")
        page.click("#login .primary")
        until(page, "document.getElementById('login-wrong').textContent")
        page.fill("#token", TOKEN)
        page.click("#login .primary")
        page.locator("#where", has_text="Files stay").wait_for()
        assert page.locator("#login[open]").count() == 0


def keep_picture(page: Any, name: str) -> None:
    """To look at: UNRAIN_PICTURES names a folder."""
    if folder := os.environ.get("UNRAIN_PICTURES"):
        page.screenshot(path=f"{folder}/{name}.png", full_page=True)


def luminance(colour: str) -> float:
    """Relative luminance of #rgb or #rrggbb, as WCAG defines it."""
    digits = colour.removeprefix("#")
    digits = "".join(2 * digit for digit in digits) if len(digits) == 3 else digits
    parts = [int(digits[start : start + 2], 16) / 255 for start in (0, 2, 4)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
