"""The project of MCP callers that are this user's own processes: the folder they name.

Every other HTTP caller reads only the folders configured for the project it names.
"""

import os
from collections.abc import Mapping
from hmac import compare_digest
from pathlib import Path
from urllib.parse import unquote

import anyio.to_thread

from mcp_server.local_key import FOLDER, KEY, PROJECT_FOLDER, read_key
from mcp_server.project import Configured, here
from tools.base import Project


async def project_of_process(configured: Configured, port: int, headers: Mapping[str, str]) -> Project | None:
    """Returns the project of the folder that a caller with the key of this server at ``port`` works in.

    ``None`` without the right key, or if the folder is no project.
    """
    if KEY not in headers:
        return None
    return await anyio.to_thread.run_sync(_found, configured, port, headers)


def _found(configured: Configured, port: int, headers: Mapping[str, str]) -> Project | None:
    key = read_key(port).encode()
    folder, named = unquote(headers.get(FOLDER, "")), unquote(headers.get(PROJECT_FOLDER, ""))
    if not key or not compare_digest(key, headers[KEY].encode()):
        return None
    if not os.path.isabs(folder) or "\0" in folder + named:
        return None
    found = here(configured, {"CLAUDE_PROJECT_DIR": named}, Path(folder), headers.get("x-project", ""))
    return found if found.root else None
