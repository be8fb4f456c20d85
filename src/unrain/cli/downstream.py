"""`unrain downstream`: detection and segmentation before and after deraining. Needs the extras `eval` and `train`."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unrain.cli.progress import Steps

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from unrain.evaluation.downstream.table import Row


def downstream(
    data: Annotated[
        Path, typer.Argument(help="Labelled photos: a folder with images/, boxes/ and polygons/.", show_default=False)
    ],
    methods: Annotated[
        list[str] | None,
        typer.Argument(metavar="METHOD...", help="As for eval.", show_default="the rainy input alone"),
    ] = None,
    detector: Annotated[Path, typer.Option(help="A YOLOX network for COCO, .onnx.")] = Path("yolox_nano.onnx"),
    segmenter: Annotated[Path, typer.Option(help="ESPNetv2 for Pascal VOC, .pth.")] = Path("espnetv2.pth"),
    preset: Annotated[str, typer.Option(help="The rain that is put on the photos.")] = "heavy",
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same rain.")] = 0,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A .json file for the table.", show_default=False)
    ] = None,
    engine: Annotated[str, typer.Option(help="auto, openvino, onnxruntime or torch.")] = "auto",
    precision: Annotated[str, typer.Option(help="Of the shipped models: fp32 or int8.")] = "fp32",
    threads: Annotated[int | None, typer.Option(min=1, help="Processor threads.", show_default="all")] = None,
) -> None:
    """Measure detection and segmentation on labelled photos: clean, in rain, and derained."""
    from rich.console import Console

    from unrain.errors import UnrainError
    from unrain.evaluation.downstream.detection import open_detector
    from unrain.evaluation.downstream.labels import read_labelled
    from unrain.evaluation.downstream.table import compare, versions
    from unrain.evaluation.methods import open_method

    try:
        from unrain.evaluation.downstream.segmentation import open_segmenter

        network = open_segmenter(segmenter)
    except ImportError:
        raise UnrainError("this needs PyTorch; try: pip install 'unrain[eval,train]'") from None
    photos = read_labelled(data)
    opened = [open_method(method, engine, threads, precision) for method in methods or ()]
    with Steps() as steps:
        steps.started("labelled photos", len(photos) * (2 + len(opened)))
        compared = compare(
            photos,
            versions(photos, opened, preset, seed),
            open_detector(detector),
            network,
            lambda name: steps.advanced(),
        )
        rows = list(compared)
    Console().print(_table(rows, len(photos), preset))
    if output is not None:
        settings = {"command": shlex.join(["unrain", *sys.argv[1:]]), "photos": len(photos), "preset": preset}
        _write(output, rows, settings | {"seed": seed, "detector": detector.name, "segmenter": segmenter.name})


def _table(rows: Sequence[Row], photos: int, preset: str) -> Table:
    from rich.table import Table

    from unrain.evaluation.downstream.table import COLUMNS
    from unrain.evaluation.tables import rank

    table = Table(title=f"{photos} labelled photos, rain: {preset}")
    table.add_column("")
    for column in COLUMNS:
        table.add_column(column, justify="right")
    derained = rows[2:]
    ranks = [rank([round(row.values[i], 3) for row in derained], "higher") for i in range(len(COLUMNS))]
    styles = {"best": "bold", "second": "underline", "": ""}
    for number, row in enumerate(rows, start=-2):
        marks = [styles[column[number]] if number >= 0 else "" for column in ranks]
        cells = [f"{100 * value:.1f}" for value in row.values]
        table.add_row(
            row.name, *(f"[{mark}]{cell}[/]" if mark else cell for mark, cell in zip(marks, cells, strict=True))
        )
    return table


def _write(path: Path, rows: Sequence[Row], settings: dict[str, object]) -> None:
    import json

    from unrain.evaluation.downstream.table import COLUMNS
    from unrain.evaluation.provenance import provenance
    from unrain.media.writing import atomic_output

    values = {row.name: dict(zip(COLUMNS, row.values, strict=True)) for row in rows}
    with atomic_output(path) as part:
        table = {"rows": values, "settings": settings, **provenance()}
        part.write_text(json.dumps(table, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
