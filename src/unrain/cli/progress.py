"""How a batch of files shows itself on a terminal: a progress bar and a line of summary."""

from __future__ import annotations

from collections.abc import Sequence
from threading import get_ident
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from pathlib import Path

    from rich.progress import Progress, TaskID

    from unrain.media.batch import Outcome
    from unrain.media.files import Job, Kind


def report(outcomes: Sequence[Outcome], what: str, seconds: float) -> None:
    """Print what failed and why, and in one line what became of the batch.

    The exit status is 1 if anything failed or nothing was there.
    """
    failed = [outcome for outcome in outcomes if outcome.error is not None]
    for outcome in failed:
        typer.echo(f"unrain: {outcome.error}", err=True)
    typer.echo(_line(outcomes, what, seconds))
    if failed or not outcomes:
        raise typer.Exit(1)


def _line(outcomes: Sequence[Outcome], what: str, seconds: float) -> str:
    if not outcomes:
        return "nothing to do: no photos or videos there"
    done = [outcome for outcome in outcomes if outcome.error is None and not outcome.skipped]
    if len(outcomes) == len(done) == 1:
        frames = f", {done[0].frames} frames" if done[0].frames > 1 else ""
        return f"{_names(done[0])[1]} ({seconds:.1f} s{frames})"
    skipped = sum(outcome.skipped for outcome in outcomes)
    before = f", {skipped} done before" if skipped else ""
    failed = len(outcomes) - len(done) - skipped
    return f"{len(done)} of {len(outcomes)} files {what} in {seconds:.1f} s{before}" + (
        f", {failed} failed" if failed else ""
    )


def _names(outcome: Outcome) -> tuple[str, str]:
    return outcome.job.names or (str(outcome.job.source), str(outcome.job.target))


def write_summary(path: Path, outcomes: Sequence[Outcome], seconds: float) -> None:
    """Write what became of each file as JSON, whole or not at all."""
    import json

    from unrain import __version__
    from unrain.media.writing import atomic_output

    files = []
    for outcome in outcomes:
        source, target = _names(outcome)
        status = "failed" if outcome.error else "done before" if outcome.skipped else "done"
        told = {"seconds": round(outcome.seconds, 3), "frames": outcome.frames, "error": outcome.error}
        files.append({"source": source, "target": target, "status": status, **told})
    counts = {status: sum(file["status"] == status for file in files) for status in ("done", "done before", "failed")}
    whole = {"unrain": __version__, "seconds": round(seconds, 3), "counts": counts, "files": files}
    with atomic_output(path) as part:
        part.write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")


def _progress() -> Progress:
    """Bars on a terminal that go away when all is done; elsewhere nothing."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


class Bar:
    """A listener that draws on a terminal, and nowhere else; several threads may tell it of their files."""

    def __init__(self) -> None:
        self._progress = _progress()
        self._files: TaskID | None = None
        self._bars: dict[Job, TaskID] = {}
        self._here: dict[int, Job] = {}
        self._failed = 0

    def __enter__(self) -> Bar:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def planned(self, jobs: Sequence[Job]) -> None:
        """See `Listener`."""
        if len(jobs) > 1:
            self._files = self._progress.add_task("files", total=len(jobs))

    def started(self, job: Job, kind: Kind, frames: int | None) -> None:
        """See `Listener`."""
        self._here[get_ident()] = job
        if kind == "video" or self._files is None:
            self._bars[job] = self._progress.add_task(job.source.name, total=frames)

    def advanced(self, frames: int) -> None:
        """See `Listener`."""
        bar = self._bars.get(self._here[get_ident()])
        if bar is not None:
            self._progress.update(bar, completed=frames)

    def finished(self, outcome: Outcome) -> None:
        """See `Listener`."""
        if outcome.job in self._bars:
            self._progress.remove_task(self._bars.pop(outcome.job))
        self._failed += outcome.error is not None
        if self._files is not None:
            told = f"files, {self._failed} failed" if self._failed else "files"
            self._progress.update(self._files, advance=1, description=told)


class Steps:
    """A listener to an evaluation: a bar for each part of the work, and a line for each thing that is to be said."""

    def __init__(self) -> None:
        self._progress = _progress()
        self._task: TaskID | None = None

    def __enter__(self) -> Steps:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def started(self, what: str, total: int) -> None:
        """A part of the work begins, and takes the place of the one before."""
        if self._task is not None:
            self._progress.remove_task(self._task)
        self._task = self._progress.add_task(what, total=total)

    def advanced(self) -> None:
        """One step of it is done."""
        if self._task is not None:
            self._progress.advance(self._task)

    def noted(self, line: str) -> None:
        """Print the line, above the bar."""
        self._progress.stop()
        typer.echo(line, err=True)
        self._progress.start()
