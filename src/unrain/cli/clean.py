"""`unrain clean`: files in, files out, a progress bar and a line of summary."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.progress import TaskID

    from unrain.inference.clean import Outcome
    from unrain.media.files import Job, Kind


def clean(
    inputs: Annotated[list[Path], typer.Argument(help="Photos, videos, or folders of them.", show_default=False)],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="File or folder to write to.", show_default="beside the input, as NAME_clean"
        ),
    ] = None,
    engine: Annotated[str, typer.Option(help="auto, openvino, onnxruntime or torch.")] = "auto",
    threads: Annotated[int | None, typer.Option(min=1, help="Processor threads.", show_default="all")] = None,
    stages: Annotated[
        int | None,
        typer.Option(min=1, max=12, help="Stages for a photo: fewer are faster.", show_default="the model's"),
    ] = None,
) -> None:
    """Take the rain out of photos and videos."""
    from unrain.inference.clean import clean as clean_files

    start = time.perf_counter()
    with _Bar() as bar:
        outcomes = clean_files(inputs, output, engine=engine, threads=threads, stages=stages, listener=bar)
    done = [outcome for outcome in outcomes if outcome.error is None]
    typer.echo(_summary(done, len(outcomes), time.perf_counter() - start))
    if len(done) < len(outcomes) or not outcomes:
        raise typer.Exit(1)


def _summary(done: Sequence[Outcome], total: int, seconds: float) -> str:
    if not total:
        return "nothing to clean: no photos or videos there"
    if total == 1 and done:
        frames = f", {done[0].frames} frames" if done[0].frames > 1 else ""
        return f"{done[0].job.target} ({seconds:.1f} s{frames})"
    failed = f", {total - len(done)} failed" if len(done) < total else ""
    return f"{len(done)} of {total} files cleaned in {seconds:.1f} s{failed}"


class _Bar:
    """A listener that draws on a terminal, and elsewhere prints only what failed."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._progress.disable = not self._progress.console.is_terminal
        self._files: TaskID | None = None
        self._frames: TaskID | None = None

    def __enter__(self) -> _Bar:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def planned(self, jobs: Sequence[Job]) -> None:
        if len(jobs) > 1:
            self._files = self._progress.add_task("files", total=len(jobs))

    def started(self, job: Job, kind: Kind, frames: int | None) -> None:
        if kind == "video" or self._files is None:
            self._frames = self._progress.add_task(job.source.name, total=frames)

    def advanced(self, frames: int) -> None:
        if self._frames is not None:
            self._progress.update(self._frames, completed=frames)

    def finished(self, outcome: Outcome) -> None:
        if self._frames is not None:
            self._progress.remove_task(self._frames)
            self._frames = None
        if self._files is not None:
            self._progress.advance(self._files)
        if outcome.error:
            self._progress.stop()
            typer.echo(f"unrain: {outcome.error}", err=True)
            self._progress.start()
