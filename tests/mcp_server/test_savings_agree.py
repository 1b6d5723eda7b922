"""Dashboard, command line, metrics and resource report the same savings, and the savings are correct."""

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import aiohttp
import anyio
import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.types import TextResourceContents

from engines.tokens import load
from mcp_server.usage import definition_tokens
from tests.mcp_server.workload import (
    AGENTS,
    PROJECTS,
    SESSIONS,
    CallRecord,
    RunningServer,
    command_json,
    make_calls,
    running_server,
)

pytestmark = pytest.mark.anyio

PLAIN = {"summarize": "summary", "chat": "text"}
"""Tools whose whole answer is one field."""


@pytest.mark.parametrize(
    ("engine", "calls"), [("scripted", 200), pytest.param("llamacpp", 6, marks=pytest.mark.model)]
)
async def test_dashboard_command_metrics_and_resource_agree_with_what_the_callers_saw(
    tmp_path: Path, models_folder: Path, engine: str, calls: int
) -> None:
    (tmp_path / "cache" / "local-llm-agent").mkdir(parents=True)
    (tmp_path / "cache" / "local-llm-agent" / "models").symlink_to(models_folder)
    with anyio.fail_after(300):
        async with running_server(tmp_path, engine, LOCAL_LLM_LLAMACPP__IDLE_SECONDS="20") as server:
            made = await make_calls(server, calls)
            shown = await fetched(server, "/stats.json?since=today")
            scraped = parsed(await fetched_text(server, "/metrics"))
            today = await resource(server)
            printed = await command_json(server, "stats", "--since", "today")
            one = await command_json(server, "stats", "--since", "today", "--project", "erp")
        after = await command_json(server, "stats", "--since", "today")
    assert len(made) == calls

    true = recomputed(server, made, tmp_path)
    definitions = SESSIONS * definition_tokens()
    net = sum(true.values()) - definitions
    failed = sum(call.status != 200 for call in made)

    for report in (shown, printed, after):
        assert report["totals"]["calls"] == calls
        assert report["totals"]["failed"] == failed
        assert report["totals"]["definitions_listed"] == SESSIONS
        assert (
            report["totals"]["saved"] == report["totals"]["tokens"]["read"] - report["totals"]["spent"] == net
        )
        assert sum(step["saved"] for step in report["steps"]) == net
        for kind in ("project", "tool", "agent", "tier"):
            assert sum(group["saved"] for group in report["by"][kind]) == net
        assert {group["name"] for group in report["by"]["agent"]} == set(AGENTS)
    same = ("totals", "periods", "by", "steps", "latency", "last", "projects")
    assert {name: shown[name] for name in same} == {name: printed[name] for name in same}
    assert {name: shown[name] for name in same} == {name: after[name] for name in same}

    for project in PROJECTS:
        of_project = sum(true[key] for key in true if key[0] == project)
        [group] = [group for group in shown["by"]["project"] if group["name"] == project]
        assert group["saved"] == of_project - definition_tokens()
        assert scraped["saved_tokens", project] == group["saved"]
        assert scraped["read_tokens", project] == group["tokens"]["read"]
        assert scraped["spent_tokens", project] == group["spent"]
        assert scraped["calls", project] == group["calls"]
        assert scraped["failed_calls", project] == group["failed"]
    assert one["totals"] == {k: v for k, v in group_of(shown, "erp").items() if k != "name"}
    assert today["saved"] == net
    assert today["calls"] == calls


def recomputed(server: RunningServer, made: Iterable[CallRecord], folder: Path) -> Counter[tuple[str, str]]:
    """Recomputes the savings by project and tool from files, arguments and answers."""
    count = load(folder / "ranks").encode
    saved: Counter[tuple[str, str]] = Counter()
    for call in made:
        read, answer = 0, call.answer
        if call.status == 200:
            files = [server.folders[call.project] / name for name in call.arguments.get("paths", [])]
            read = sum(count(file.read_text()) for file in files)
            fields = {name: value for name, value in answer.items() if name != "receipt"}
            text = fields[PLAIN[call.tool]] if call.tool in PLAIN else compact(fields)
        else:
            text = f"{answer['error']['message']} {answer['error']['hint']}"
        net = read - count(compact(call.arguments)) - count(text)
        assert call.status != 200 or answer["receipt"]["saved"] == net, call
        saved[call.project, call.tool] += net
    return saved


def compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def parsed(text: str) -> Counter[tuple[str, str]]:
    """Returns the ledger's gauges of a scrape by name and project, summed over tools."""
    found: Counter[tuple[str, str]] = Counter()
    for line in text.splitlines():
        if line.startswith("local_llm_agent_ledger_") and "{project=" in line:
            name, _, rest = line.removeprefix("local_llm_agent_ledger_").partition("{")
            labels, _, value = rest.rpartition("} ")
            found[name, labels.split('"')[1]] += int(value)
    return found


def group_of(report: dict[str, Any], project: str) -> dict[str, Any]:
    [group] = [group for group in report["by"]["project"] if group["name"] == project]
    return group


async def fetched(server: RunningServer, path: str) -> dict[str, Any]:
    return json.loads(await fetched_text(server, path))


async def fetched_text(server: RunningServer, path: str) -> str:
    async with aiohttp.ClientSession() as session, session.get(f"{server.url}{path}") as answer:
        assert answer.status == 200, await answer.text()
        return await answer.text()


async def resource(server: RunningServer) -> dict[str, Any]:
    http = httpx2.AsyncClient()
    async with http, Client(streamable_http_client(f"{server.url}/mcp", http_client=http)) as client:
        [listed] = (await client.list_resources()).resources
        [contents] = (await client.read_resource(listed.uri)).contents
    assert isinstance(contents, TextResourceContents)
    return json.loads(contents.text)
