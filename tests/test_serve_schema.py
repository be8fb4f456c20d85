"""The API does what its own OpenAPI document says: schemathesis asks, with right and with wrong requests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, Phase, settings
from serve_service import TOKEN, Service, serving

pytest.importorskip("fastapi", reason="the extra 'web' is not installed")
schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with serving(tmp_path_factory.mktemp("jobs"), tokens=TOKEN) as running:
        yield running


@pytest.fixture(scope="module")
def document(service: Service) -> object:
    return schemathesis.openapi.from_url(f"{service.url}/openapi.json")


schema = schemathesis.pytest.from_fixture("document")


@schema.parametrize()  # type: ignore[untyped-decorator]
@settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_api_keeps_to_its_document(case: Any) -> None:
    case.call_and_validate(headers={"Authorization": f"Bearer {TOKEN}"}, timeout=30)


def test_document_names_every_route_and_loads_nothing_from_elsewhere(service: Service) -> None:
    paths = httpx.get(f"{service.url}/openapi.json").json()["paths"]
    assert {"/v1/images", "/v1/videos", "/v1/jobs/{job}", "/v1/jobs/{job}/events", "/health", "/ready"} <= paths.keys()
    package = Path(__file__).parents[1] / "src" / "unrain" / "serve" / "page"
    for page in package.iterdir():
        assert "https://" not in page.read_text(), page.name
