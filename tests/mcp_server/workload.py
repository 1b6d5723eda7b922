"""A day's workload: agents of three projects call the tools on real files; some calls fail."""

import json
import os
import random
import shutil
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import anyio
import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from tests.mcp_server.stdio.test_stdio import SCRIPT
from tests.serving import serving

ROOT = Path(__file__).parents[2]

PROJECTS = {"shop": "tools/*.py", "erp": "engines/middleware/*.py", "handbook": "docs/**/*.md"}
"""Files of this repository that are copied into each project."""
AGENTS = ("claude-code", "gemini-cli", "codex")
SESSIONS = 3
"""MCP sessions, each with its own project and agent."""


@dataclass(frozen=True)
class RunningServer:
    """A server under test, the folders of its projects, and its environment."""

    url: str
    folders: Mapping[str, Path]
    environment: dict[str, str]


@dataclass(frozen=True)
class CallRecord:
    """One call: its request and its response."""

    project: str
    tool: str
    arguments: dict[str, Any]
    status: int
    answer: dict[str, Any]


@asynccontextmanager
async def running_server(folder: Path, engine: str, **variables: str) -> AsyncGenerator[RunningServer]:
    """Starts a server with three configured projects."""
    folders = {name: _copied(folder / name, pattern) for name, pattern in PROJECTS.items()}
    config = folder / "config.toml"
    config.write_text(
        "".join(f"[projects.{n}]\npaths = [{json.dumps(str(f))}]\n" for n, f in folders.items())
    )
    environment = {
        **os.environ,
        "LOCAL_LLM_CONFIG": str(config),
        "LOCAL_LLM_ENGINE": engine,
        "XDG_CACHE_HOME": str(folder / "cache"),
        "XDG_DATA_HOME": str(folder / "data"),
        "XDG_RUNTIME_DIR": str(folder / "run"),
        **variables,
    }
    async with serving(environment, folder) as url:
        yield RunningServer(url, folders, environment)


def _copied(folder: Path, pattern: str) -> Path:
    folder.mkdir()
    for file in ROOT.glob(pattern):
        shutil.copy(file, folder / file.name)
    return folder


async def make_calls(server: RunningServer, calls: int) -> list[CallRecord]:
    """Makes the calls over REST and opens MCP sessions that list the tools; returns the calls."""
    made: list[CallRecord] = []
    left = iter(_planned(server, calls))

    async def agent(session: aiohttp.ClientSession) -> None:
        for project, name, tool, arguments in left:
            headers = {"X-Project": project, "X-Agent": name}
            async with session.post(
                f"{server.url}/mcp/tools/{tool}", json=arguments, headers=headers
            ) as answer:
                made.append(CallRecord(project, tool, arguments, answer.status, await answer.json()))

    async with aiohttp.ClientSession() as session, anyio.create_task_group() as group:
        for _ in range(4):
            group.start_soon(agent, session)
        for project, name in zip(PROJECTS, AGENTS, strict=True):
            group.start_soon(_connect, server, project, name)
    return made


async def _connect(server: RunningServer, project: str, agent: str) -> None:
    """Lists the tools twice in one MCP session."""
    http = httpx2.AsyncClient(headers={"X-Project": project, "X-Agent": agent})
    connection = streamable_http_client(f"{server.url}/mcp", http_client=http)
    async with http, Client(connection, mode="legacy") as client:
        await client.list_tools()
        await client.list_tools()


def _planned(server: RunningServer, calls: int) -> Iterator[tuple[str, str, str, dict[str, Any]]]:
    chosen = random.Random(20261122)
    for _ in range(calls):
        project = chosen.choice(list(PROJECTS))
        files = sorted(path.name for path in server.folders[project].iterdir())
        tool, arguments = chosen.choice(_kinds(chosen.sample(files, 2)))
        yield project, chosen.choice(AGENTS), tool, arguments


def _kinds(files: list[str]) -> list[tuple[str, dict[str, Any]]]:
    return [
        ("classify", {"paths": files[:1], "labels": ["code", "prose", "tables"]}),
        ("classify", {"items": ["the disk is full", "all is well"], "labels": ["problem", "fine"]}),
        ("extract", {"paths": files[:1], "fields": {"title": "what the file calls itself"}}),
        ("summarize", {"paths": files, "max_words": 60}),
        ("summarize", {"paths": files[:1], "focus": "what can go wrong", "style": "bullets"}),
        ("chat", {"prompt": "What is a write-ahead log?", "max_tokens": 40}),
        ("summarize", {"paths": ["no such file.md"]}),
        ("classify", {"text": "a", "labels": ["only one"]}),
    ]


async def command_json(server: RunningServer, *arguments: str) -> dict[str, Any]:
    """Returns the JSON output of a command."""
    done = await anyio.run_process([SCRIPT, *arguments, "--json"], env=server.environment)
    return json.loads(done.stdout)
