"""Which project is asking, by the first of these that says so:

1. the ``X-Project`` header, or ``--project``;
2. ``CLAUDE_PROJECT_DIR``;
3. the folder the process was started in, or the root of its git work tree;
4. the MCP roots of older clients;
5. an absolute path in the call that lies in a configured project;
6. ``default``.

A process that a host started speaks for one project and reads its files. A caller over HTTP reads
only the folders configured for the project it names; with none configured, none.
"""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast
from urllib.parse import unquote

from mcp_server.settings import ProjectSettings
from tools.base import Project

Configured = Mapping[str, ProjectSettings]

_UNNAMEABLE = re.compile(r"[^\w.@-]+")


def here(configured: Configured, environ: Mapping[str, str], cwd: Path, name: str = "") -> Project:
    """The project a process started in ``cwd`` speaks for."""
    told = environ.get("CLAUDE_PROJECT_DIR", "")
    root = Path(told).resolve() if os.path.isdir(told) else git_root(cwd.resolve())
    if _is_everything(root):
        return named(configured, name) if name else Project()
    return at(configured, root, name)


def at(configured: Configured, root: Path, name: str = "") -> Project:
    """The project whose files lie at ``root``; a configured one if ``root`` lies in it."""
    found = name or owner(configured, root) or ""
    settings = configured.get(found)
    label = found or _UNNAMEABLE.sub("-", root.name) or "default"
    if settings is None:
        return Project(label, root)
    return Project(label, root, settings.paths, settings.adapter)


def named(configured: Configured, name: str) -> Project:
    """The project an HTTP caller names; it reads what is configured for that name, or nothing."""
    settings = configured.get(name or "default")
    if settings is None:
        return Project(_UNNAMEABLE.sub("-", name)[:64] or "default")
    first, *rest = (*settings.paths, None)
    return Project(name or "default", first, tuple(path for path in rest if path), settings.adapter)


def of_paths(configured: Configured, arguments: Mapping[str, Any]) -> Project | None:
    """The configured project that the first absolute path of a call's arguments lies in."""
    given = arguments.get("paths")
    for path in cast("list[object]", given) if isinstance(given, list) else (given,):
        # A path with a NUL is refused where files are read; here it only must not raise.
        if not isinstance(path, str) or "\0" in path or not os.path.isabs(os.path.expanduser(path)):
            continue
        name = owner(configured, Path(os.path.realpath(os.path.expanduser(path))))
        if name:
            return named(configured, name)
    return None


def of_roots(configured: Configured, uris: Sequence[str]) -> Project | None:
    """The project at the first MCP root that is a folder here."""
    for uri in uris:
        scheme, _, path = uri.partition("://")
        # Between the scheme and the path stands a host, if any: an empty one, or this machine.
        path = unquote(path.removeprefix("localhost"))
        if scheme.lower() != "file" or not os.path.isabs(path) or not os.path.isdir(path):
            continue
        root = Path(path).resolve()
        if not _is_everything(root):
            return at(configured, root)
    return None


def owner(configured: Configured, path: Path) -> str | None:
    """The configured project that ``path`` lies in; of nested ones the innermost."""
    found = [
        (len(folder.parts), name)
        for name, settings in configured.items()
        for folder in settings.paths
        if path == folder or folder in path.parents
    ]
    return max(found)[1] if found else None


def git_root(folder: Path) -> Path:
    """The work tree ``folder`` lies in (``.git`` is a folder, or a file in linked work trees), or itself."""
    for candidate in (folder, *folder.parents):
        if os.path.exists(candidate / ".git") and not _is_everything(candidate):
            return candidate
    return folder


def _is_everything(root: Path) -> bool:
    """Desktop hosts start servers in ``/`` or the home folder: that is no project, and not to be read."""
    return root == Path(root.anchor) or root == Path(os.path.realpath(os.path.expanduser("~")))
