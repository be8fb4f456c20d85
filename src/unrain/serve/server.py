"""The server: a socket, and uvicorn on it with the time limits of protocol.py."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import uvicorn

from unrain.errors import UnrainError
from unrain.serve.app import create_app
from unrain.serve.auth import Access
from unrain.serve.jobs import Scheduler
from unrain.serve.limits import Limits
from unrain.serve.protocol import BriskProtocol

_BACKLOG = 512


def run(
    host: str,
    port: int,
    folder: Path,
    access: Access,
    limits: Limits,
    *,
    local: bool,
    engine: str,
    threads: int | None,
    say: Callable[[str], None],
) -> None:
    """Serve until the process is told to end. `say` hears the address. `UnrainError` if it cannot be had."""
    with _listening(host, port) as listener:
        app = create_app(folder, access, limits, local=local, engine=engine, threads=threads)
        name = f"[{host}]" if ":" in host else host
        say(f"unrain is at http://{name}:{listener.getsockname()[1]} (stop with Ctrl-C)")
        config = uvicorn.Config(
            app,
            http=BriskProtocol,
            ws="none",
            lifespan="on",
            log_level="warning",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            limit_concurrency=limits.connections,
            timeout_graceful_shutdown=3,
        )
        _Server(config, app.state.scheduler).run(sockets=[listener])


class _Server(uvicorn.Server):
    """Tells the scheduler first, so that those who wait for jobs are answered instead of cut off."""

    def __init__(self, config: uvicorn.Config, scheduler: Scheduler) -> None:
        super().__init__(config)
        self._scheduler = scheduler

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A signal to end has come."""
        self._scheduler.closing = True
        super().handle_exit(sig, frame)


def _listening(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError as error:
        raise UnrainError(f"cannot listen on {host}, port {port}: {error.strerror}; choose another --port") from error
    return listener
