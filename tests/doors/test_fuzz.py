"""The whole API under fuzz from its own description: no 5xx, nothing undocumented."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from given_service import ANSWER_S, Api, api, settings_in
from ledger.service import Service
from ledger.web import create_app

RECORD = "00000001"
EXAMPLES = int(os.environ.get("LEDGER_FUZZ_EXAMPLES", "25"))
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with api(Path(tmp_path_factory.mktemp("fuzz"))) as client:
        client.submit(handle=f"SRCH:{RECORD}")
        yield client


def operations() -> Iterator[tuple[Any, GenerationMode]]:
    """Yield every operation that the description names, with inputs that fit and that do not."""
    described = create_app(Service(settings_in(Path("nowhere")))).openapi()
    found: Any
    for found in schemathesis.openapi.from_dict(described).get_all_operations():
        operation = found.ok()
        yield operation, GenerationMode.POSITIVE
        # A path takes any text, so only parameters and bodies can be wrong.
        if len(operation.query) + len(operation.headers) + len(operation.body):
            yield operation, GenerationMode.NEGATIVE


@pytest.mark.parametrize(
    ("operation", "mode"),
    [pytest.param(*each, id=f"{each[0].label} {each[1].value}") for each in operations()],
)
def test_nothing_that_can_be_sent_makes_the_ledger_fail(
    operation: Any, mode: GenerationMode, ledger: Api
) -> None:
    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    def attempt(case: Any) -> None:
        headers = {**ledger.headers(), **(case.headers or {})}
        headers["Authorization"] = f"Bearer {ledger.key}"
        address = (case.path_parameters or {}).get("address")
        if address is not None and len(str(address)) % 2 == 0:
            # Half of the time a record that is there, so that the rules behind 404 are reached.
            case.path_parameters["address"] = RECORD
            if "If-Match" in headers:
                headers["If-Match"] = ledger.etag(RECORD)
        base = str(ledger.client.base_url)
        response = case.call(base_url=base, headers=headers, timeout=ANSWER_S)
        case.validate_response(response, checks=CHECKS)
        assert "Traceback" not in response.text

    attempt()
