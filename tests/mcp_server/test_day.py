"""After a day's work everybody who shows the savings shows the same, and it is true."""

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
from tests.mcp_server.day import AGENTS, PROJECTS, SESSIONS, House, Made, lived, open_house, said_by_command

pytestmark = pytest.mark.anyio

PLAIN = {"summarize": "summary", "chat": "text"}
"""Tools whose whole answer is this field."""


@pytest.mark.parametrize(
    ("engine", "calls"), [("scripted", 200), pytest.param("llamacpp", 6, marks=pytest.mark.model)]
)
async def test_dashboard_command_metrics_and_resource_agree_with_what_the_callers_saw(
    tmp_path: Path, models_folder: Path, engine: str, calls: int
) -> None:
    (tmp_path / "cache" / "local-llm-agent").mkdir(parents=True)
    (tmp_path / "cache" / "local-llm-agent" / "models").symlink_to(models_folder)
    with anyio.fail_after(300):
        async with open_house(tmp_path, engine, LOCAL_LLM_LLAMACPP__IDLE_SECONDS="20") as house:
            made = await lived(house, calls)
            shown = await fetched(house, "/stats.json?since=today")
            scraped = parsed(await fetched_text(house, "/metrics"))
            today = await resource(house)
            printed = await said_by_command(house, "stats", "--since", "today")
            one = await said_by_command(house, "stats", "--since", "today", "--project", "erp")
        after = await said_by_command(house, "stats", "--since", "today")
    assert len(made) == calls

    true = recomputed(house, made, tmp_path)
    definitions = SESSIONS * definition_tokens()
    net = sum(true.values()) - definitions
    failed = sum(call.status != 200 for call in made)

    for told in (shown, printed, after):
        assert told["totals"]["calls"] == calls
        assert told["totals"]["failed"] == failed
        assert told["totals"]["definitions_listed"] == SESSIONS
        assert told["totals"]["saved"] == told["totals"]["tokens"]["read"] - told["totals"]["spent"] == net
        assert sum(step["saved"] for step in told["steps"]) == net
        for kind in ("project", "tool", "agent", "tier"):
            assert sum(group["saved"] for group in told["by"][kind]) == net
        assert {group["name"] for group in told["by"]["agent"]} == set(AGENTS)
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


def recomputed(house: House, made: Iterable[Made], folder: Path) -> Counter[tuple[str, str]]:
    """The saving by project and tool, from the files, the arguments and the answers alone."""
    count = load(folder / "ranks").encode
    saved: Counter[tuple[str, str]] = Counter()
    for call in made:
        read, answer = 0, call.answer
        if call.status == 200:
            files = [house.folders[call.project] / name for name in call.arguments.get("paths", [])]
            read = sum(count(file.read_text()) for file in files)
            fields = {name: value for name, value in answer.items() if name != "receipt"}
            said = fields[PLAIN[call.tool]] if call.tool in PLAIN else compact(fields)
        else:
            said = f"{answer['error']['message']} {answer['error']['hint']}"
        net = read - count(compact(call.arguments)) - count(said)
        assert call.status != 200 or answer["receipt"]["saved"] == net, call
        saved[call.project, call.tool] += net
    return saved


def compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def parsed(text: str) -> Counter[tuple[str, str]]:
    """The ledger's gauges in a scrape, summed over tools: by name and project."""
    found: Counter[tuple[str, str]] = Counter()
    for line in text.splitlines():
        if line.startswith("local_llm_agent_ledger_") and "{project=" in line:
            name, _, rest = line.removeprefix("local_llm_agent_ledger_").partition("{")
            labels, _, value = rest.rpartition("} ")
            found[name, labels.split('"')[1]] += int(value)
    return found


def group_of(told: dict[str, Any], project: str) -> dict[str, Any]:
    [group] = [group for group in told["by"]["project"] if group["name"] == project]
    return group


async def fetched(house: House, path: str) -> dict[str, Any]:
    return json.loads(await fetched_text(house, path))


async def fetched_text(house: House, path: str) -> str:
    async with aiohttp.ClientSession() as session, session.get(f"{house.url}{path}") as answer:
        assert answer.status == 200, await answer.text()
        return await answer.text()


async def resource(house: House) -> dict[str, Any]:
    http = httpx2.AsyncClient()
    async with http, Client(streamable_http_client(f"{house.url}/mcp", http_client=http)) as client:
        [listed] = (await client.list_resources()).resources
        [contents] = (await client.read_resource(listed.uri)).contents
    assert isinstance(contents, TextResourceContents)
    return json.loads(contents.text)
