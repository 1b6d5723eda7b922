"""Results files as MCP resources: the link in an answer, the template, and reading page by page."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp.types import CallToolResult, ResourceLink, TextContent, TextResourceContents

from engines.backends.scripted.engine import ScriptedEngine
from mcp_server.protocol.results import links
from mcp_server.protocol.server import Context, build_server
from mcp_server.usage import Usage
from tests.mcp_server.stdio.test_handshake import request
from tests.mcp_server.stdio.test_stdio import started
from tests.tools.pipeline.test_dispatch import ESTIMATOR, dispatching
from tests.tools.pipeline.test_short import FIELDS, LOG, RECORDS, words
from tools.base import Project
from tools.pipeline.results import ResultFiles
from tools.pipeline.short import MOST_TOKENS

pytestmark = pytest.mark.anyio

EXTRACT: dict[str, Any] = {"text": LOG, "many": True, "fields": FIELDS}


async def nobody(context: Context, arguments: Mapping[str, Any]) -> Project:
    return Project()


async def read_all(client: Client, uri: str) -> list[dict[str, Any]]:
    """Returns the rows of all pages."""
    rows = ""
    following: str | None = uri
    while following:
        [contents] = (await client.read_resource(following)).contents
        assert isinstance(contents, TextResourceContents)
        assert contents.mime_type == "application/jsonl"
        assert (await ESTIMATOR.get()).count(contents.text) <= MOST_TOKENS + 200
        *lines, last = contents.text.splitlines()
        following = json.loads(last).get("next") if last.startswith('{"next":') else None
        rows += "\n".join(lines if following else [*lines, last])
        rows += "" if following and "&at=" in following else "\n"
    return [json.loads(row) for row in rows.splitlines()]


def texts(result: CallToolResult) -> str:
    return "".join(block.text for block in result.content if isinstance(block, TextContent))


async def test_a_long_answer_has_a_link_to_all_rows_which_are_read_page_by_page(tmp_path: Path) -> None:
    async with dispatching(ScriptedEngine(), results=ResultFiles(tmp_path)) as dispatcher:
        with anyio.fail_after(60):
            async with Client(build_server(dispatcher, nobody, Usage())) as client:
                result = await client.call_tool("extract", EXTRACT)
                text, link = result.content
                assert isinstance(text, TextContent)
                assert isinstance(link, ResourceLink)
                assert result.structured_content == json.loads(text.text)
                assert link.uri == result.structured_content["results_uri"]
                rows = await read_all(client, link.uri)
    assert len(rows) == RECORDS
    assert [row["evidence"] for row in rows] == [{"": n + 1} for n in range(RECORDS)]
    whole = text.text + link.model_dump_json(by_alias=True, exclude_none=True)
    assert (await ESTIMATOR.get()).count(whole) <= MOST_TOKENS


async def test_a_row_longer_than_a_page_comes_in_pieces(tmp_path: Path) -> None:
    data = {
        "note": " ".join(f"word_{n}_and_some_more" for n in range(400)),
        "names": [f"é{n}" for n in range(300)],
    }
    engine = ScriptedEngine([json.dumps(data, ensure_ascii=False)])
    async with (
        dispatching(engine, results=ResultFiles(tmp_path)) as dispatcher,
        Client(build_server(dispatcher, nobody, Usage())) as client,
    ):
        call = {"prompt": "p", "schema": {"type": "object"}, "tier": "main"}
        result = await client.call_tool("chat", call)
        assert result.structured_content is not None
        assert await read_all(client, result.structured_content["results_uri"]) == [{"data": data}]


async def test_a_long_text_says_itself_where_the_rest_is(tmp_path: Path) -> None:
    async with (
        dispatching(ScriptedEngine(words), results=ResultFiles(tmp_path)) as dispatcher,
        Client(build_server(dispatcher, nobody, Usage())) as client,
    ):
        result = await client.call_tool("chat", {"prompt": "Write it.", "max_tokens": 2_048})
    link = result.content[1]
    assert isinstance(link, ResourceLink)
    assert link.uri in texts(result)
    assert (await ESTIMATOR.get()).count(texts(result)) <= MOST_TOKENS


async def test_a_short_answer_has_no_link(tmp_path: Path) -> None:
    async with (
        dispatching(ScriptedEngine(["four"]), results=ResultFiles(tmp_path)) as dispatcher,
        Client(build_server(dispatcher, nobody, Usage())) as client,
    ):
        assert len((await client.call_tool("chat", {"prompt": "2 + 2"})).content) == 1


def test_a_client_older_than_resource_links_gets_none() -> None:
    fields = {"results_uri": "local-llm://results/0"}
    assert [len(links(fields, version)) for version in ("2024-11-05", "2025-03-26", "2025-06-18")] == [
        0,
        0,
        1,
    ]


async def test_results_have_a_template_and_are_not_listed(tmp_path: Path) -> None:
    files = ResultFiles(tmp_path)
    await files.write([{"a": 1}])
    async with (
        dispatching(ScriptedEngine(), results=files) as dispatcher,
        Client(build_server(dispatcher, nobody, Usage())) as client,
    ):
        [template] = (await client.list_resource_templates()).resource_templates
        assert template.uri_template == "local-llm://results/{name}{?after,at}"
        assert [resource.uri for resource in (await client.list_resources()).resources] == ["stats://today"]


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "../../../etc/passwd",
        "%2e%2e/secret",
        "0" * 32,
        f"{'0' * 32}?after=-1",
        f"{'0' * 32}?after=1&at=x",
        f"{'0' * 32}?after={'9' * 30}",
        f"{'0' * 32}/../{'0' * 32}",
    ],
)
async def test_other_uris_are_refused(tmp_path: Path, uri: str) -> None:
    (tmp_path / "secret.jsonl").write_text("secret")
    async with (
        dispatching(ScriptedEngine(), results=ResultFiles(tmp_path)) as dispatcher,
        Client(build_server(dispatcher, nobody, Usage())) as client,
    ):
        with pytest.raises(MCPError, match="unknown_results"):
            await client.read_resource(f"local-llm://results/{uri}")


async def test_over_stdio_the_file_is_in_the_users_cache(tmp_path: Path) -> None:
    (tmp_path / "access.log").write_text(LOG)
    arguments = {"paths": ["access.log"], "many": True, "fields": FIELDS}
    call = request("tools/call", 2, name="extract", arguments=arguments)
    async with started(tmp_path, variables={"XDG_CACHE_HOME": str(tmp_path / "cache")}) as host:
        result = (await host.ask(call))["result"]
        uri = f"{result['content'][1]['uri']}?after={RECORDS - 1}"
        [contents] = (await host.ask(request("resources/read", 3, uri=uri)))["result"]["contents"]
    file = anyio.Path(result["structuredContent"]["results_file"])
    assert file.parent == anyio.Path(tmp_path, "cache", "local-llm-agent", "results")
    assert len((await file.read_text()).splitlines()) == RECORDS
    assert json.loads(contents["text"])["evidence"] == {"": RECORDS}
