"""`unrain serve`: the page and the HTTP API."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

_LIMITS = "Limits"


def serve(
    host: Annotated[
        str, typer.Option(help="Address to listen on; others than loopback need tokens in UNRAIN_TOKENS.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 8000,
    data: Annotated[
        Path | None,
        typer.Option(
            envvar="UNRAIN_DATA", help="Folder for jobs and their files.", show_default="the user's state folder"
        ),
    ] = None,
    engine: Annotated[str, typer.Option(help="auto, openvino, onnxruntime or torch.")] = "auto",
    threads: Annotated[int | None, typer.Option(min=1, help="Processor threads.", show_default="all")] = None,
    allow_host: Annotated[
        list[str] | None, typer.Option(help="A further name under which it is reached.", show_default="none")
    ] = None,
    allow_origin: Annotated[
        list[str] | None,
        typer.Option(help="A site whose pages may call the API, as https://example.org.", show_default="none"),
    ] = None,
    image_mb: Annotated[
        float, typer.Option(envvar="UNRAIN_IMAGE_MB", help="Megabytes of a photo.", rich_help_panel=_LIMITS)
    ] = 64,
    image_megapixels: Annotated[
        float, typer.Option(envvar="UNRAIN_IMAGE_MEGAPIXELS", help="Megapixels of a photo.", rich_help_panel=_LIMITS)
    ] = 50,
    video_mb: Annotated[
        float, typer.Option(envvar="UNRAIN_VIDEO_MB", help="Megabytes of a video.", rich_help_panel=_LIMITS)
    ] = 2000,
    video_megapixels: Annotated[
        float, typer.Option(envvar="UNRAIN_VIDEO_MEGAPIXELS", help="Megapixels of a frame.", rich_help_panel=_LIMITS)
    ] = 9,
    video_seconds: Annotated[
        float, typer.Option(envvar="UNRAIN_VIDEO_SECONDS", help="Seconds that a video plays.", rich_help_panel=_LIMITS)
    ] = 1800,
    workers: Annotated[
        int,
        typer.Option(min=1, envvar="UNRAIN_WORKERS", help="Photos, and videos, at a time.", rich_help_panel=_LIMITS),
    ] = 1,
    queue: Annotated[
        int, typer.Option(min=1, envvar="UNRAIN_QUEUE", help="Jobs that may wait.", rich_help_panel=_LIMITS)
    ] = 32,
    disk_mb: Annotated[
        float, typer.Option(envvar="UNRAIN_DISK_MB", help="Megabytes of all jobs.", rich_help_panel=_LIMITS)
    ] = 20000,
    keep: Annotated[
        float, typer.Option(envvar="UNRAIN_KEEP", help="Seconds until a result is removed.", rich_help_panel=_LIMITS)
    ] = 3600,
) -> None:
    """Serve a page for the browser, and the HTTP API, on this machine."""
    from unrain.errors import UnrainError

    try:
        import platformdirs

        from unrain.serve.auth import access_for, is_loopback
        from unrain.serve.limits import MB, Limits
        from unrain.serve.server import run
    except ImportError:
        raise UnrainError("the page and the API need more packages; try: pip install 'unrain[web]'") from None
    tokens = os.environ.get("UNRAIN_TOKENS", "").replace(",", " ").split()
    access = access_for(host, tokens, allow_host or [], allow_origin or [])
    limits = Limits(
        image_bytes=int(image_mb * MB),
        video_bytes=int(video_mb * MB),
        image_pixels=int(image_megapixels * MB),
        video_pixels=int(video_megapixels * MB),
        video_seconds=video_seconds,
        workers=workers,
        queue=queue,
        disk=int(disk_mb * MB),
        keep=keep,
    )
    folder = data or platformdirs.user_state_path("unrain", appauthor=False)
    run(host, port, folder, access, limits, local=is_loopback(host), engine=engine, threads=threads, say=typer.echo)
