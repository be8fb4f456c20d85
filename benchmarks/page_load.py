"""How soon the page of `unrain serve` is there: Chromium on loopback, each time with nothing kept of the time before.

    python benchmarks/page_load.py [--loads 10]

load: until the browser's load event. usable: until files can be chosen and the page says what it takes. Ends with
status 1 if a median is over 1.5 s, or if anything was asked of another host.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright
from soak import start

MOST = 1500
# the list of what the page takes is written last, after the service has told its limits
WATCH = """
new MutationObserver(() => {
  if (document.getElementById("takes")?.textContent) window.usable ??= performance.now();
}).observe(document, { subtree: true, childList: true });
"""
TIMES = """() => {
  const load = performance.getEntriesByType("navigation")[0].loadEventEnd;
  return load && window.usable ? [load, window.usable] : null;
}"""


def load(browser: Browser, url: str) -> tuple[list[float], list[str]]:
    """Milliseconds of one first load, and what was asked for."""
    with browser.new_context() as context:
        page = context.new_page()
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.add_init_script(WATCH)
        page.goto(url)
        while (times := page.evaluate(TIMES)) is None:
            page.wait_for_timeout(20)
        return times, asked


def main() -> int:
    """Parse the arguments, load the page, and print the times."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--loads", type=int, default=10)
    given = parser.parse_args()
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        process, url = start(Path(folder), 1)
        try:
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
            found = [load(browser, url) for _ in range(given.loads)]
            browser.close()
        finally:
            process.terminate()
            process.wait()
    medians = []
    for name, times in zip(("load", "usable"), zip(*(times for times, _ in found), strict=True), strict=True):
        medians.append(statistics.median(times))
        print(f"{name:<8}median {medians[-1]:5.0f} ms, {min(times):.0f} to {max(times):.0f}")
    elsewhere = {asked for _, each in found for asked in each if not asked.startswith((url, "blob:", "data:"))}
    print(f"{len(found[0][1])} requests, of other hosts: {sorted(elsewhere) or 'none'}")
    return int(max(medians) > MOST or bool(elsewhere))


if __name__ == "__main__":
    sys.exit(main())
