"""How a batch of files shows itself on a terminal: a progress bar and a line of summary."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from unrain.media.batch import Outcome
    from unrain.media.files import Job, Kind


def report(outcomes: Sequence[Outcome], what: str, seconds: float) -> None:
    """Print what became of a batch, in one line; exit status 1 if anything failed or nothing was there."""
    done = [outcome for outcome in outcomes if outcome.error is None]
    typer.echo(_summary(done, len(outcomes), what, seconds))
    if len(done) < len(outcomes) or not outcomes:
        raise typer.Exit(1)


def _summary(done: Sequence[Outcome], total: int, what: str, seconds: float) -> str:
    if not total:
        return "nothing to do: no photos or videos there"
    if total == 1 and done:
        frames = f", {done[0].frames} frames" if done[0].frames > 1 else ""
        return f"{done[0].job.target} ({seconds:.1f} s{frames})"
    failed = f", {total - len(done)} failed" if len(done) < total else ""
    return f"{len(done)} of {total} files {what} in {seconds:.1f} s{failed}"


def _progress() -> Progress:
    """Bars on a terminal that go away when all is done; elsewhere nothing."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


class Bar:
    """A listener that draws on a terminal, and elsewhere prints only what failed."""

    def __init__(self) -> None:
        self._progress = _progress()
        self._files: TaskID | None = None
        self._frames: TaskID | None = None

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
        if kind == "video" or self._files is None:
            self._frames = self._progress.add_task(job.source.name, total=frames)

    def advanced(self, frames: int) -> None:
        """See `Listener`."""
        if self._frames is not None:
            self._progress.update(self._frames, completed=frames)

    def finished(self, outcome: Outcome) -> None:
        """See `Listener`."""
        if self._frames is not None:
            self._progress.remove_task(self._frames)
            self._frames = None
        if self._files is not None:
            self._progress.advance(self._files)
        if outcome.error:
            self._progress.stop()
            typer.echo(f"unrain: {outcome.error}", err=True)
            self._progress.start()


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
