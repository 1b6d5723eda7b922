"""Finds the project of a call, from the first of these sources that names one:

1. the ``X-Project`` header, or ``--project``;
2. ``CLAUDE_PROJECT_DIR``;
3. the folder the process was started in, or the root of its git work tree;
4. the MCP roots of older clients;
5. an absolute path in the call that lies in a configured project;
6. ``default``.

A stdio process serves one project and reads its files. An HTTP caller reads only the folders
configured for the project it names, unless it is a process of this user (``http/local.py``).
"""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from engines import system
from mcp_server.settings import ProjectSettings
from tools.base import Project
from tools.sources.paths import in_wsl, of_uri, within

Configured = Mapping[str, ProjectSettings]

_NOT_IN_NAMES = re.compile(r"[^\w.@-]+")


def here(configured: Configured, environ: Mapping[str, str], cwd: Path, name: str = "") -> Project:
    """Returns the project of a process started in ``cwd``."""
    given = environ.get("CLAUDE_PROJECT_DIR", "")
    root = Path(given).resolve() if os.path.isdir(given) else git_root(cwd.resolve())
    if _is_too_broad(root):
        return named(configured, name) if name else Project()
    return at(configured, root, name)


def at(configured: Configured, root: Path, name: str = "") -> Project:
    """Returns the project at ``root``, or the configured project that contains ``root``."""
    found = name or owner(configured, root) or ""
    settings = configured.get(found)
    label = found or _NOT_IN_NAMES.sub("-", root.name) or "default"
    if settings is None:
        return Project(label, root)
    return Project(label, root, settings.paths, settings.adapter)


def named(configured: Configured, name: str) -> Project:
    """Returns the project an HTTP caller names, with the folders configured for it, if any."""
    settings = configured.get(name or "default")
    if settings is None:
        return Project(_NOT_IN_NAMES.sub("-", name)[:64] or "default")
    first, *rest = (*settings.paths, None)
    return Project(name or "default", first, tuple(path for path in rest if path), settings.adapter)


def of_paths(configured: Configured, arguments: Mapping[str, Any]) -> Project | None:
    """Returns the configured project that contains the first absolute path in a call's arguments."""
    given = arguments.get("paths")
    for path in cast("list[object]", given) if isinstance(given, list) else (given,):
        # A NUL would raise here; such a path is refused where files are read.
        if not isinstance(path, str) or "\0" in path or not os.path.isabs(os.path.expanduser(path)):
            continue
        name = owner(configured, Path(os.path.realpath(os.path.expanduser(path))))
        if name:
            return named(configured, name)
    return None


def of_roots(configured: Configured, uris: Sequence[str]) -> Project | None:
    """Returns the project at the first MCP root that is an existing folder."""
    for uri in uris:
        path = of_uri(uri, windows=system.WINDOWS)
        if system.IN_WSL and not os.path.isdir(path):
            path = in_wsl(of_uri(uri, windows=True))
        if not os.path.isabs(path) or not os.path.isdir(path):
            continue
        root = Path(path).resolve()
        if not _is_too_broad(root):
            return at(configured, root)
    return None


def owner(configured: Configured, path: Path) -> str | None:
    """Returns the name of the innermost configured project that contains ``path``."""
    found = [
        (len(folder.parts), name)
        for name, settings in configured.items()
        for folder in settings.paths
        if within(path, (folder,), system.same)
    ]
    return max(found)[1] if found else None


def git_root(folder: Path) -> Path:
    """Returns the git work tree that contains ``folder``, or ``folder`` itself."""
    for candidate in (folder, *folder.parents):
        if os.path.exists(candidate / ".git") and not _is_too_broad(candidate):
            return candidate
    return folder


def _is_too_broad(root: Path) -> bool:
    """Whether ``root`` is where desktop hosts start servers: ``/``, the home folder, Windows' own folder."""
    if root == Path(root.anchor) or system.same(root, Path(os.path.expanduser("~"))):
        return True
    own = os.environ.get("SYSTEMROOT") if system.WINDOWS else None
    return bool(own) and Path(own) in (root, *root.parents)
