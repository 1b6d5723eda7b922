"""Tests the real Claude Code, Gemini CLI and Codex against our server, with a scripted model."""

import json
from operator import itemgetter
from pathlib import Path
from typing import Any

import pytest

from benchmarks.log_lines import lines as log_lines
from tests.clients.agents import AGENTS, CLAUDE_CODE, CODEX, GEMINI, Agent
from tests.clients.sandbox import Sandbox
from tests.clients.scripted_model import ScriptedModel, ToolUse, serving
from tests.clients.serving import TOKEN
from tests.clients.serving import serving as http_server
from tests.mcp_server.stdio.test_handshake import handshake_answers
from tools.catalog import definitions
from tools.pipeline.short import MOST_TOKENS

pytestmark = [pytest.mark.anyio, pytest.mark.clients]

LABELS = ["disk space", "user login"]
CLASSIFY = ToolUse("classify", {"paths": ["service.log"], "split": "line", "labels": LABELS})
SUMMARIZE = ToolUse("summarize", {"paths": ["service.log"], "max_words": 20})
EMBEDDED = {
    "LOCAL_LLM_ENGINE": "llamacpp",
    "LOCAL_LLM_LLAMACPP__MODEL": "smollm2-135m",
    "LOCAL_LLM_LLAMACPP__IDLE_SECONDS": "2",
}
MISSING = ToolUse("summarize", {"paths": ["missing.txt"]})

by_agent = pytest.mark.parametrize("agent", AGENTS, ids=lambda agent: agent.name)


def check_first_turn(agent: Agent, model: ScriptedModel) -> None:
    """Checks that the first request to the model offers all our tools."""
    offered = set(model.turns[0].tools)
    assert {agent.tool.format(definition.name) for definition in definitions()} <= offered


def counted(seen: str) -> Any:
    """Returns the counts of a classification from what the client shows its model."""
    return json.loads(seen[seen.index("{") : seen.rindex("}") + 1])["counts"]


def check_handshake(box: Sandbox) -> None:
    """Checks that everything up to ``tools/list`` is answered before the SDK is imported."""
    sent = box.sent()
    methods = [message["method"] for message in sent]
    opening = sent[: methods.index("tools/list") + 1]
    answers, _ = handshake_answers(*opening)
    assert [answer["id"] for answer in answers] == [message["id"] for message in opening if "id" in message]


@by_agent
@pytest.mark.parametrize("scope", ["project", "user"])
async def test_a_client_starts_us_from_its_own_settings_and_its_model_gets_the_answer(
    box: Sandbox, agent: Agent, scope: str
) -> None:
    async with serving(CLASSIFY, SUMMARIZE) as model:
        agent.settle(box, model.url)
        registered = await box.register(agent.name, "--scope", scope)
        assert registered["entry"]["command"] == "local-llm-agent"
        ran = await agent.ask(box, model.url)
    assert ran.code == 0, ran
    check_first_turn(agent, model)
    classified, summary = model.turns[-1].results
    assert sum(counted(classified).values()) == 4
    assert "the disk is full" in summary
    assert '"disk space":' in ran.out.replace("\\", "")
    calls = [message["params"] for message in box.sent() if message["method"] == "tools/call"]
    assert [call["arguments"]["paths"] for call in calls] == [["service.log"], ["service.log"]]
    metas = [message.get("result", {}).get("_meta", {}) for message in box.answered()]
    receipts = [meta["receipt"] for meta in metas if "receipt" in meta]
    assert {(receipt["project"], receipt["engine"]) for receipt in receipts} == {("shop", "scripted")}
    assert box.server_folder() == box.project
    check_handshake(box)
    await check_removal(box, agent, scope, registered)


async def check_removal(box: Sandbox, agent: Agent, scope: str, registered: dict[str, Any]) -> None:
    """Checks that removing our entry keeps the client's other settings."""
    removed = await box.register(agent.name, "--scope", scope, "--remove")
    assert (removed["outcome"], removed["file"]) == ("removed", registered["file"])
    if scope == "user" and agent is not CLAUDE_CODE:  # which keeps its own state in that file
        assert box.written[removed["file"]] == box.read(removed["file"])


@by_agent
async def test_a_client_calls_a_running_server_with_a_token_it_takes_from_a_variable(
    box: Sandbox, agent: Agent
) -> None:
    async with serving(CLASSIFY) as model, http_server(box) as url:
        agent.settle(box, model.url)
        registered = await box.register(
            agent.name, "--http", url, "--token-env", "SHOP_TOKEN", "--project", "shop", SHOP_TOKEN=TOKEN
        )
        assert TOKEN not in json.dumps(registered)
        ran = await agent.ask(box, model.url, SHOP_TOKEN=TOKEN)
    assert ran.code == 0, ran
    check_first_turn(agent, model)
    assert sum(counted(model.turns[-1].results[0]).values()) == 4
    assert box.sent() == []


@pytest.mark.parametrize("agent", [CLAUDE_CODE, GEMINI], ids=lambda agent: agent.name)
async def test_a_client_calls_a_running_server_over_sse(box: Sandbox, agent: Agent) -> None:
    async with serving(CLASSIFY) as model, http_server(box) as url:
        agent.settle(box, model.url)
        registered = await box.register(
            agent.name,
            "--http",
            f"{url}/sse",
            "--token-env",
            "SHOP_TOKEN",
            "--project",
            "shop",
            SHOP_TOKEN=TOKEN,
        )
        assert registered["entry"]["type"] == "sse"
        ran = await agent.ask(box, model.url, SHOP_TOKEN=TOKEN)
    assert ran.code == 0, ran
    assert sum(counted(model.turns[-1].results[0]).values()) == 4


@by_agent
async def test_a_client_reports_that_we_are_connected(box: Sandbox, agent: Agent) -> None:
    async with serving() as model, http_server(box) as url:
        agent.settle(box, model.url)
        await box.register(agent.name)
        over_stdio = await agent.listed(box, model.url)
        await box.register(agent.name, "--http", url, "--token-env", "SHOP_TOKEN", SHOP_TOKEN=TOKEN)
        over_http = await agent.listed(box, model.url, SHOP_TOKEN=TOKEN)
        without_token = await agent.listed(box, model.url, SHOP_TOKEN="wrong")
    for ran, what in ((over_stdio, "local-llm-agent stdio"), (over_http, f"{url}/mcp")):
        said = ran.out + ran.err
        assert what.split()[0] in said
        # Codex lists what is configured without trying it.
        assert "enabled" in said if agent.name == "codex" else "Connected" in said, ran
    assert "Connected" not in without_token.out + without_token.err


@by_agent
async def test_a_server_gets_the_variables_a_client_would_keep_back(box: Sandbox, agent: Agent) -> None:
    """Gemini CLI withholds variables that look secret, Codex nearly all: our entry names ours."""
    secret = {"LOCAL_LLM_VLLM__API_KEY": "a key", "OTHER_API_KEY": "not ours"}
    async with serving(CLASSIFY) as model:
        agent.settle(box, model.url)
        registered = await box.register(agent.name, **secret)
        ran = await agent.ask(box, model.url, **secret)
    assert ran.code == 0, ran
    assert "a key" not in json.dumps(registered)
    seen = box.server_environment()
    assert seen["LOCAL_LLM_VLLM__API_KEY"] == "a key"
    assert seen["XDG_RUNTIME_DIR"] == str(box.root / "run")
    assert ("OTHER_API_KEY" in seen) == (agent is CLAUDE_CODE)
    assert ("CLAUDE_PROJECT_DIR" in seen) == (agent is CLAUDE_CODE)


@by_agent
async def test_an_error_reaches_the_model_with_what_to_do(box: Sandbox, agent: Agent) -> None:
    async with serving(MISSING) as model:
        agent.settle(box, model.url)
        await box.register(agent.name)
        ran = await agent.ask(box, model.url)
    assert ran.code == 0, ran
    [seen] = model.turns[-1].results
    assert "missing.txt" in seen
    assert "path_not_found" in seen


@pytest.mark.model
async def test_claude_code_gets_an_answer_of_the_embedded_model(box: Sandbox, models_folder: Path) -> None:
    box.take_models(models_folder)
    async with serving(CLASSIFY) as model:
        CLAUDE_CODE.settle(box, model.url)
        await box.register("claude-code")
        ran = await CLAUDE_CODE.ask(box, model.url, **EMBEDDED)
    assert ran.code == 0, ran
    assert sum(counted(model.turns[-1].results[0]).values()) == 4
    assert '"engine":"llamacpp"' in (box.root / "from-server").read_text()


@pytest.mark.model
@pytest.mark.parametrize("agent", [CLAUDE_CODE, CODEX], ids=lambda agent: agent.name)
async def test_a_log_of_three_thousand_lines_is_a_short_answer_that_shows_its_rare_errors(
    box: Sandbox, agent: Agent, models_folder: Path
) -> None:
    box.take_models(models_folder)
    log = log_lines("service", 3_000, seed=1)
    box.write(box.project / "big.log", "".join(f"{line}\n" for line, _ in log))
    asked = ToolUse(
        "classify", {"paths": ["big.log"], "split": "line", "labels": ["error", "warning", "noise"]}
    )
    async with serving(asked) as model:
        agent.settle(box, model.url)
        await box.register(agent.name, **EMBEDDED)
        ran = await agent.ask(box, model.url, **EMBEDDED)
    assert ran.code == 0, ran
    (seen,) = model.turns[-1].results
    assert len(seen) < 4 * MOST_TOKENS
    assert sum(counted(seen).values()) == 3_000
    # What the rare errors are and where they stand is in the answer: the log need not be read.
    answer = json.loads(seen[seen.index("{") : seen.rindex("}") + 1].split("}\n")[0])
    rare = min((group for group in answer["groups"] if group["label"] == "error"), key=itemgetter("count"))
    ranges = [part.split("-") for part in rare["ids"].split(",") if part != "…"]
    lines = [number for ends in ranges for number in range(int(ends[0]), int(ends[-1]) + 1)]
    assert len(lines) <= rare["count"]
    assert {log[number - 1][1] for number in lines} == {"error"}
