"""Fuzzes a running server against its OpenAPI document, with valid and invalid requests.

``tests/shim/test_contract.py`` does the same to the routes in process; here with guard, settings and
uvicorn.
"""

import json
from collections.abc import Generator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from mcp_server.version import VERSION
from shim.openapi import document
from tests.conformance.__main__ import serving
from tests.mcp_server.stdio.test_stdio import SCRIPT
from tools.catalog import definitions

schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed")

TOKEN = "a token for this test"
BEARER = {"Authorization": f"Bearer {TOKEN}"}

routes = schemathesis.openapi.from_dict(document(definitions(), VERSION))

quick = settings(
    max_examples=15,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    home = tmp_path_factory.mktemp("home")
    (home / "config.toml").write_text(f'engine = "scripted"\nhttp.token = {json.dumps(TOKEN)}\n')
    environment = {"HOME": str(home), "LOCAL_LLM_CONFIG": str(home / "config.toml"), "PATH": "/usr/bin:/bin"}
    with serving(SCRIPT, "serve", "--port", environment=environment) as found:
        yield found


@routes.exclude(path_regex="^/mcp/tools/").parametrize()
@quick
def test_no_server_error_and_no_undocumented_answer(case: Any, url: str) -> None:
    answer = case.call(base_url=url, headers=BEARER)
    # A body over the limit is refused too, but schemathesis does not take 413 for a refusal.
    refused = [schemathesis.checks.negative_data_rejection] if answer.status_code == 413 else []
    case.validate_response(answer, excluded_checks=refused)


# What agents send to a tool is taken or refused by the tool: see test_contract.py.
@routes.include(path_regex="^/mcp/tools/").parametrize()
@quick
def test_no_server_error_and_no_undocumented_answer_of_a_tool(case: Any, url: str) -> None:
    checks = schemathesis.checks
    case.call_and_validate(
        base_url=url,
        headers=BEARER,
        excluded_checks=[checks.positive_data_acceptance, checks.negative_data_rejection],
    )


@routes.exclude(path="/health").parametrize()
@quick
def test_without_the_token_no_data_is_returned(case: Any, url: str) -> None:
    answer = case.call(base_url=url, headers={"Authorization": "Bearer wrong"})
    assert answer.status_code in {401, 413}
