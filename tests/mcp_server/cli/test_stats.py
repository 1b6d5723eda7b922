"""The ``stats`` command, session charges and the ``stats://today`` resource."""

import json
import signal
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp.types import TextResourceContents

from engines.backends.scripted.engine import ScriptedEngine
from engines.tokens import load
from mcp_server.cli import parser as cli
from mcp_server.protocol.server import Context, build_server
from mcp_server.stdio.handshake import MANIFEST
from mcp_server.usage import Usage, definition_tokens
from tests.apart import apart
from tests.mcp_server.seeded import DEFINITIONS, seed
from tests.mcp_server.stdio.test_stdio import CHAT, started
from tests.tools.pipeline.test_dispatch import dispatching
from tools.base import Project
from tools.ledger.savings import Sums, cube
from tools.ledger.store import Ledger

pytestmark = pytest.mark.anyio

StatsJson = Callable[..., dict[str, Any]]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user without files."""
    for name in ("DATA", "CACHE", "CONFIG"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name.lower()))
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def seeded_ledger(home: Path) -> Path:
    """A user with a seeded ledger."""
    apart(lambda: anyio.run(seed, home / "data" / "local-llm-agent", time.time()))
    return home


@pytest.fixture
def stats_text(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs ``stats``, which must succeed, and returns its output."""

    def run(*arguments: str) -> str:
        assert apart(partial(cli.run, ["stats", *arguments])) == 0, capsys.readouterr().err
        return capsys.readouterr().out

    return run


@pytest.fixture
def stats_json(stats_text: Callable[..., str]) -> StatsJson:
    return lambda *arguments: json.loads(stats_text(*arguments, "--json"))


@pytest.mark.usefixtures("seeded_ledger")
def test_a_person_sees_the_same_figures_as_a_program(
    stats_text: Callable[..., str], stats_json: StatsJson
) -> None:
    lines = stats_text("--since", "30d").splitlines()
    found = stats_json("--since", "30d")
    assert any(line.startswith("= saved") for line in lines)
    assert f"{found['periods']['all']['saved']:,}" in "".join(lines)
    for kind in ("project", "tool", "agent", "tier"):
        for group in found["by"][kind]:
            cells = [group["name"], *(f"{group[name]:,}" for name in ("calls", "failed"))]
            cells += [f"{group['tokens']['read']:,}", f"{group['spent']:,}", f"{group['saved']:,}"]
            assert any(line.split()[: len(cells)] == cells for line in lines), cells
    for tier in found["latency"]:
        assert any(line.startswith(tier["tier"]) and f"{tier['p95_ms']:,} ms" in line for line in lines)


@pytest.mark.usefixtures("seeded_ledger")
def test_what_cost_more_than_it_saved_is_shown_as_that(
    stats_text: Callable[..., str], stats_json: StatsJson
) -> None:
    found = stats_json("--since", "all")
    tools = {group["name"]: group for group in found["by"]["tool"]}
    assert tools["definitions"]["saved"] == -DEFINITIONS * found["totals"]["definitions_listed"] < 0
    assert f"{tools['definitions']['saved']:,}" in stats_text("--since", "all")


@pytest.mark.usefixtures("seeded_ledger")
def test_a_project_alone_can_be_asked_for(stats_text: Callable[..., str], stats_json: StatsJson) -> None:
    found = stats_json("--project", "erp", "--since", "all")
    assert [group["name"] for group in found["by"]["project"]] == ["erp"]
    assert 0 < found["totals"]["calls"] < stats_json("--since", "all")["totals"]["calls"]
    assert stats_text("--project", "nobody's").strip() == "No calls for nobody's."


def test_an_empty_ledger_says_what_to_do(stats_text: Callable[..., str]) -> None:
    assert "summarize --paths" in stats_text()


@pytest.mark.usefixtures("seeded_ledger")
def test_pruning_forgets_what_is_older_and_says_how_much(
    stats_text: Callable[..., str], stats_json: StatsJson
) -> None:
    before = stats_json("--since", "all")["totals"]
    week = stats_json("--since", "7d")["totals"]
    assert stats_json("--prune")["dropped"] == 0, "nothing is past its days"
    said = stats_text("--prune", "--since", "7d")
    dropped = before["calls"] + before["definitions_listed"] - week["calls"] - week["definitions_listed"]
    assert said.startswith(f"deleted {dropped} calls from before ")
    assert stats_json("--since", "all")["totals"] == week
    stats_text("--prune", "--since", "0d", "--project", "erp")
    assert sorted(stats_json()["projects"]) == ["handbook", "shop"]


def test_a_time_that_is_none_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert apart(partial(cli.run, ["stats", "--since", "yesteryear"])) == 2
    assert "7d" in capsys.readouterr().err


def test_a_ledger_that_cannot_be_used_is_said(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "data").write_text("a file where a folder should be")
    assert apart(partial(cli.run, ["stats", "--json"])) == 1
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "ledger_unreadable"


async def test_definitions_are_counted_as_they_are_sent(tmp_path: Path) -> None:
    said = json.loads(MANIFEST.read_text())["2025-11-25"]
    sent = json.dumps(said["tools/list"]["result"]["tools"], ensure_ascii=False, separators=(",", ":"))
    count = load(tmp_path).count
    assert abs(definition_tokens() - count(sent) - count(said["initialize"]["result"]["instructions"])) <= 2
    assert definition_tokens() > 500


async def nobody(context: Context, arguments: Mapping[str, Any]) -> Project:
    return Project("shop")


async def sums(ledger: Ledger) -> Sums:
    found = await ledger.read(lambda file: cube(file, 0))
    return sum(found.values(), Sums())


async def test_a_session_is_charged_once_and_listing_without_one_each_time(tmp_path: Path) -> None:
    async with Ledger(tmp_path) as ledger:
        usage = Usage(ledger)
        for session in ("stdio", "stdio", "a", "b", "a", "", ""):
            usage.listed("shop", "codex", session)
        usage.listed("shop", "local-llm-agent doctor", "")
        found = await sums(ledger)
    assert (found.listed, found.calls) == (5, 0)
    assert found.saved == -5 * definition_tokens()


async def test_today_can_be_read_as_a_resource_by_whoever_is_connected(tmp_path: Path) -> None:
    async with Ledger(tmp_path) as ledger, dispatching(ScriptedEngine()) as dispatcher:
        server = build_server(dispatcher, nobody, Usage(ledger, {"small": 500}))
        with anyio.fail_after(5):
            async with Client(server) as client:
                await client.list_tools()
                [resource] = (await client.list_resources()).resources
                [contents] = (await client.read_resource(resource.uri)).contents
                with pytest.raises(MCPError, match="stats://today"):
                    await client.read_resource("stats://tomorrow")
    assert isinstance(contents, TextResourceContents)
    assert contents.mime_type == "application/json"
    assert len(contents.text) < 1000
    today = json.loads(contents.text)
    assert today["saved"] == -definition_tokens()
    assert today["saved_by_tool"] == {"definitions": -definition_tokens()}
    assert [tier["tier"] for tier in today["latency"]] == ["small"]


async def test_without_a_ledger_tools_are_listed_and_the_resource_says_why_it_is_not_there() -> None:
    async with (
        dispatching(ScriptedEngine()) as dispatcher,
        Client(build_server(dispatcher, nobody, Usage())) as client,
    ):
        assert len((await client.list_tools()).tools) == 4
        with pytest.raises(MCPError, match="the ledger is disabled"):
            await client.read_resource("stats://today")


@pytest.mark.parametrize(
    "stop", [signal.SIGINT, signal.SIGTERM, None], ids=["SIGINT", "SIGTERM", "end of input"]
)
async def test_a_server_stopped_right_after_an_answer_has_kept_the_call(
    home: Path, stop: signal.Signals | None
) -> None:
    async with started(home) as host:
        answer = await host.ask(CHAT)
        if stop:
            host.process.send_signal(stop)
        else:
            await host.hang_up()
        assert await host.process.wait() == 0
    async with Ledger(home / "data" / "local-llm-agent") as ledger:
        found = await sums(ledger)
    assert (found.calls, found.saved) == (1, answer["result"]["_meta"]["receipt"]["saved"])
