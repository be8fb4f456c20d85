"""The page's own files, served from memory under fixed names, and the examples that one can try."""

from __future__ import annotations

import hashlib
from importlib import resources
from pathlib import Path

from fastapi import APIRouter, Request, Response

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".jpg": "image/jpeg",
    ".mp4": "video/mp4",
}
_URLS = {"index.html": "/", "docs.html": "/docs"}
EXAMPLES = ("friends.jpg", "picos.mp4")
# no script, style or picture from anywhere else, and no other page may frame this one
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; "
    "connect-src 'self' blob:; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)


def router() -> APIRouter:
    """Routes for the page at `/`, its files, and the examples. Read once, so that no request touches a path."""
    routes = APIRouter(include_in_schema=False)
    folder = Path(str(resources.files(__package__))) / "page"
    for path in sorted(folder.iterdir()):
        if path.suffix in _TYPES:
            _serve(routes, _URLS.get(path.name, f"/{path.name}"), path)
    for name in EXAMPLES:
        path = _examples() / name
        if path.is_file():
            _serve(routes, f"/examples/{name}", path)
    return routes


def _examples() -> Path:
    """The wheel holds the examples inside of the package; in a checkout they lie in samples/."""
    inside = Path(__file__).with_name("examples")
    return inside if inside.is_dir() else Path(__file__).parents[3] / "samples"


def _serve(routes: APIRouter, url: str, path: Path) -> None:
    content = path.read_bytes()
    tag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
    headers = {"ETag": tag, "Cache-Control": "no-cache", "Content-Security-Policy": POLICY}

    async def get(request: Request) -> Response:
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        return Response(content, media_type=_TYPES[path.suffix], headers=headers)

    routes.add_api_route(url, get, methods=["GET", "HEAD"])
