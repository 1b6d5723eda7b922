"""Fuzzes the routes against the OpenAPI document, with valid and invalid requests.

Every answer must have a documented status, content type and body; valid requests are accepted,
invalid ones refused.
"""

from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from engines.backends.scripted.engine import ScriptedEngine
from tests.shim.test_pipeline import app_over

schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed")

document = schemathesis.openapi.from_asgi("/openapi.json", app_over(ScriptedEngine(adapters=["erp"])))


quick = settings(
    max_examples=20,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


@document.exclude(path_regex="^/mcp/tools/").parametrize()
@quick
def test_every_answer_is_a_documented_one(case: Any) -> None:
    case.call_and_validate()


# The schemas agents read are shorter than what the tools check (one source and not two, no empty
# list) and a string passes for a list of one: only the answers are compared with the document.
@document.include(path_regex="^/mcp/tools/").parametrize()
@quick
def test_every_answer_of_a_tool_is_a_documented_one(case: Any) -> None:
    checks = schemathesis.checks
    case.call_and_validate(excluded_checks=[checks.positive_data_acceptance, checks.negative_data_rejection])
