"""The API does what its own OpenAPI document says: schemathesis asks, with right and with wrong requests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from serve_service import TOKEN, Service, serving

pytest.importorskip("fastapi", reason="the extra 'web' is not installed")
schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with serving(tmp_path_factory.mktemp("jobs"), tokens=TOKEN) as running:
        yield running


# that bytes are a picture cannot be said in a schema, so that bytes which are none are refused all the same
checks = pytest.importorskip("schemathesis.specs.openapi.checks", reason="schemathesis is not installed")


# the plugin of schemathesis 4.32 for pytest does not work with pytest 9.2, so that hypothesis is asked directly
@pytest.mark.parametrize("mode", list(schemathesis.GenerationMode))
def test_api_keeps_to_its_document(service: Service, mode: Any) -> None:
    document = schemathesis.openapi.from_url(f"{service.url}/openapi.json")
    for operation in document.get_all_operations():
        case = operation.ok().as_strategy(generation_mode=mode)

        @given(case=case)
        @settings(
            max_examples=5, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
        )
        def check(case: Any) -> None:
            headers = {"Authorization": f"Bearer {TOKEN}"}
            case.call_and_validate(headers=headers, timeout=30, excluded_checks=[checks.positive_data_acceptance])

        # an operation without parameters cannot be asked in a wrong way
        with suppress(Unsatisfiable):
            check()


def test_document_names_every_route_and_loads_nothing_from_elsewhere(service: Service) -> None:
    paths = httpx.get(f"{service.url}/openapi.json").json()["paths"]
    assert {"/v1/images", "/v1/videos", "/v1/jobs/{job}", "/v1/jobs/{job}/events", "/health", "/ready"} <= paths.keys()
    package = Path(__file__).parents[1] / "src" / "unrain" / "serve" / "page"
    for page in package.iterdir():
        assert "https://" not in page.read_text(), page.name
