"""The MCP SDK without its client and its HTTP transports."""

import json
import subprocess
import sys
from pathlib import Path

from mcp_server.stdio.handshake import MANIFEST
from mcp_server.stdio.sdk import UNUSED

ROOT = Path(__file__).parents[3]

BEGIN = "import sys; from mcp_server.stdio import sdk; sdk.import_sdk(); "


def output(code: str) -> str:
    """Returns what a new process prints: in this one the whole SDK is imported."""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stderr == ""
    return done.stdout.strip()


def test_the_server_is_imported_and_no_empty_module_is_left() -> None:
    code = BEGIN + f"print('mcp.server.lowlevel' in sys.modules, [m for m in {UNUSED!r} if m in sys.modules])"
    assert output(code) == "True []"


def test_what_was_left_out_can_be_imported_later() -> None:
    code = BEGIN + "from mcp.client.session import ClientSession; from starlette.requests import Request; "
    code += "from mcp.server.mcpserver import MCPServer; "
    code += "print(MCPServer('x').name, hasattr(ClientSession, 'send_ping'), hasattr(Request, 'body'))"
    assert output(code) == "x True True"


def test_its_answers_are_those_of_the_whole_sdk() -> None:
    code = BEGIN + "import anyio, json; from mcp_server.stdio.manifest import generate; "
    code += "print(json.dumps(anyio.run(generate)))"
    assert json.loads(output(code)) == json.loads(MANIFEST.read_text())


def test_a_version_of_the_sdk_that_needs_more_is_imported_whole() -> None:
    code = (
        "from mcp_server.stdio import sdk; sdk.NEEDED += ('mcp.server.no_such_module',); sdk.import_sdk(); "
    )
    code += "from mcp import Client; from mcp.server import MCPServer; "
    code += "print(Client.__module__, MCPServer('x').name)"
    assert output(code) == "mcp.client.client x"


def test_models_are_built_at_once_again_afterwards() -> None:
    code = BEGIN + "from pydantic import BaseModel; print(BaseModel.model_config)"
    assert output(code) == "{}"
