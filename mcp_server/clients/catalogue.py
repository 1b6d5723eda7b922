"""The supported clients: location and format of their settings, and the environment they pass on.

Observed by running each client (versions in docs/clients.md), except Trae and Cursor, which have no
command line: their entries use the common format and are untested. On Windows and macOS none was run: the
folders there are those of each client's documentation, Codex's variables those of its source.
"""

import os
import re
import shutil
import sys
import sysconfig
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from engines import system
from engines.base import JsonObject, JsonValue
from engines.errors import InvalidArgumentsError

NAME = "local-llm-agent"
"""The server's name in every client's settings; no ``_``, as Gemini CLI splits tool names at it."""

_CACHES = frozenset({"archive-v0", ".cache", "Caches"})
"""Names in the paths of the folders into which ``uvx`` and ``pipx run`` install."""

Environment = Mapping[str, str]
Scope = Literal["project", "user"]

_SECRET = re.compile("TOKEN|SECRET|PASSWORD|PASSWD|KEY|AUTH|CREDENTIAL|CREDS|PRIVATE|CERT", re.IGNORECASE)
"""Variables that Gemini CLI 0.61 hides from servers (``NEVER_ALLOWED_NAME_PATTERNS``)."""

_CODEX_PASSES = frozenset(
    {"HOME", "LANG", "LC_ALL", "LOGNAME", "PATH", "SHELL", "TERM", "TMPDIR", "TZ", "USER"}
)
"""Variables a server inherits from Codex; others must be listed in ``env_vars``."""

_CODEX_PASSES_ON_WINDOWS = frozenset({
    "APPDATA", "COMSPEC", "HOMEDRIVE", "HOMEPATH", "LOCALAPPDATA", "PATH", "PATHEXT", "POWERSHELL",
    "PROGRAMDATA", "PROGRAMFILES", "PROGRAMFILES(X86)", "PROGRAMW6432", "PWSH", "SHELL", "SYSTEMDRIVE",
    "SYSTEMROOT", "TEMP", "TMP", "TMPDIR", "USERDOMAIN", "USERNAME", "USERPROFILE", "WINDIR",
})  # fmt: skip

_FOLDER_VARIABLES = (
    "XDG_RUNTIME_DIR",
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "XDG_STATE_HOME",
)
"""Variables that locate our folders; without them a server starts its own embedded engine."""

CODEX_CALL_SECONDS = 330
"""Above the server's deadline (300 s), which reports why; Codex's default is 60 s."""


class CannotRegisterError(InvalidArgumentsError):
    """A registration is impossible, or a settings file cannot be used."""

    code = "cannot_register"


@dataclass(frozen=True, slots=True)
class Launch:
    """How a client reaches the server: a command it starts or a URL it calls."""

    command: str = ""
    args: tuple[str, ...] = ()
    url: str = ""
    token_env: str = ""
    """Environment variable with the token; the token itself is never written."""
    project: str = ""
    """Sent as ``X-Project``."""

    @property
    def transport(self) -> str:
        if not self.url:
            return "stdio"
        return "sse" if urlsplit(self.url).path.rstrip("/").endswith("/sse") else "http"


@dataclass(frozen=True, slots=True)
class Client:
    """A client's settings files, entry format and environment."""

    title: str
    project_file: str
    """Relative to the project's root."""
    user_file: Callable[[Environment], Path]
    entry: Callable[[Launch, Environment], JsonObject]
    """Returns the entry for a launch; it contains names of environment variables, never values."""
    inherits: Callable[[Environment], dict[str, str]]
    """Returns the part of the client's environment that its servers inherit."""
    expand: Callable[[str, Environment], str]
    """Expands variable references in a value as the client does."""
    note: str = ""
    """What the user still has to do."""

    @property
    def table(self) -> str:
        return "mcp_servers" if self.project_file.endswith(".toml") else "mcpServers"


def _home(environ: Environment) -> Path:
    """Returns the home folder as clients see it; those on Windows ignore the ``HOME`` of a Unix shell."""
    return Path(environ.get("USERPROFILE" if system.WINDOWS else "HOME") or Path.home())


def _settings(environ: Environment) -> Path:
    """Returns the folder in which desktop programs keep their settings."""
    if system.WINDOWS:
        return Path(environ.get("APPDATA") or _home(environ) / "AppData" / "Roaming")
    if system.MACOS:
        return _home(environ) / "Library" / "Application Support"
    return Path(environ.get("XDG_CONFIG_HOME") or _home(environ) / ".config")


def _braced(text: str, environ: Environment) -> str:
    """Expands ``${NAME}`` and ``${NAME:-default}``; unknown names stay."""

    def value(match: re.Match[str]) -> str:
        return environ.get(match[1], match[2] if match[2] is not None else match[0])

    return re.sub(r"\$\{(\w+)(?::-([^}]{0,300}))?\}", value, text)


def _dollar(text: str, environ: Environment) -> str:
    """Expands as ``_braced``, and ``$NAME``."""
    return re.sub(r"\$(\w+)", lambda m: environ.get(m[1], m[0]), _braced(text, environ))


def _named(text: str, environ: Environment) -> str:
    """Expands ``${env:NAME}``."""
    return re.sub(r"\$\{env:(\w+)\}", lambda m: environ.get(m[1], m[0]), text)


def _verbatim(text: str, environ: Environment) -> str:
    return text


def _headers(launch: Launch, reference: str) -> JsonObject:
    headers: JsonObject = {}
    if launch.token_env:
        headers["Authorization"] = "Bearer " + reference.format(launch.token_env)
    if launch.project:
        headers["X-Project"] = launch.project
    return {"headers": headers} if headers else {}


def _stdio(launch: Launch) -> JsonObject:
    return {"command": launch.command, "args": list[JsonValue](launch.args)}


def _claude_code(launch: Launch, environ: Environment) -> JsonObject:
    """``alwaysLoad`` puts the tools into the first request instead of behind a search."""
    reach = _stdio(launch) if not launch.url else {"url": launch.url, **_headers(launch, "${{{}}}")}
    return {"type": launch.transport, **reach, "alwaysLoad": True}


def _gemini(launch: Launch, environ: Environment) -> JsonObject:
    if launch.url:
        return {"url": launch.url, "type": launch.transport, **_headers(launch, "${{{}}}")}
    hidden = [name for name in _ours(environ) if _SECRET.search(name)]
    env: JsonObject = {name: f"${{{name}:-}}" for name in hidden}
    return {**_stdio(launch), **({"env": env} if env else {})}


def _cursor(launch: Launch, environ: Environment) -> JsonObject:
    if launch.url:
        return {"url": launch.url, **_headers(launch, "${{env:{}}}")}
    return {"type": "stdio", **_stdio(launch)}


def _trae(launch: Launch, environ: Environment) -> JsonObject:
    if launch.token_env:
        raise CannotRegisterError(
            "Trae does not substitute variables in its settings, and a token is never written to a file",
            hint="register Trae over stdio, or use a server on 127.0.0.1 without a token",
        )
    if launch.url:
        return {"url": launch.url, **_headers(launch, "")}
    if " " in launch.command:
        raise CannotRegisterError(
            f"Trae accepts no command with a space in it: {launch.command}",
            hint=f"install so that {NAME} is on PATH: uv tool install . in a checkout",
        )
    return _stdio(launch)


def _codex(launch: Launch, environ: Environment) -> JsonObject:
    if launch.transport == "sse":
        raise CannotRegisterError("Codex does not support SSE", hint="give the /mcp address instead of /sse")
    calls: JsonObject = {"tool_timeout_sec": CODEX_CALL_SECONDS}
    if not launch.url:
        handed = [*_ours(environ), *(name for name in _FOLDER_VARIABLES if name in environ)]
        return {**_stdio(launch), **({"env_vars": list[JsonValue](handed)} if handed else {}), **calls}
    token: JsonObject = {"bearer_token_env_var": launch.token_env} if launch.token_env else {}
    headers: JsonObject = {"http_headers": {"X-Project": launch.project}} if launch.project else {}
    return {"url": launch.url, **token, **headers, **calls}


def _ours(environ: Environment) -> list[str]:
    return sorted(name for name in environ if name.startswith("LOCAL_LLM_"))


def _all(environ: Environment) -> dict[str, str]:
    return dict(environ)


def _unhidden(environ: Environment) -> dict[str, str]:
    return {name: value for name, value in environ.items() if not _SECRET.search(name)}


def _few(environ: Environment) -> dict[str, str]:
    passed = _CODEX_PASSES_ON_WINDOWS if system.WINDOWS else _CODEX_PASSES
    return {name: value for name, value in environ.items() if name in passed}


CLIENTS: dict[str, Client] = {
    "claude-code": Client(
        "Claude Code",
        ".mcp.json",
        lambda environ: Path(environ.get("CLAUDE_CONFIG_DIR") or _home(environ), ".claude.json"),
        _claude_code,
        _all,
        _braced,
        "Claude Code asks once whether to trust a project's .mcp.json; `claude mcp list` shows the state",
    ),
    "gemini": Client(
        "Gemini CLI",
        ".gemini/settings.json",
        lambda environ: Path(environ.get("GEMINI_CLI_HOME") or _home(environ), ".gemini", "settings.json"),
        _gemini,
        _unhidden,
        _dollar,
        "Gemini CLI starts servers in trusted folders only: `gemini trust`; `/mcp` shows the state",
    ),
    "trae": Client(
        "Trae",
        ".trae/mcp.json",
        lambda environ: _settings(environ) / "Trae" / "User" / "mcp.json",
        _trae,
        _all,
        _verbatim,
        "in Trae, switch on Settings > MCP > Enable Project MCP for a project's .trae/mcp.json",
    ),
    "codex": Client(
        "Codex",
        ".codex/config.toml",
        lambda environ: Path(environ.get("CODEX_HOME") or _home(environ) / ".codex", "config.toml"),
        _codex,
        _few,
        _verbatim,
        "Codex reads a project's .codex/config.toml only once the project is trusted",
    ),
    "cursor": Client(
        "Cursor",
        ".cursor/mcp.json",
        lambda environ: _home(environ) / ".cursor" / "mcp.json",
        _cursor,
        _all,
        _named,
        "Cursor shows the server under Settings > MCP, where it is switched on",
    ),
}


def own_script() -> Path:
    """Returns the console script of this installation.

    Raises:
        CannotRegisterError: there is none (a bare checkout run by ``-m``).
    """
    file = NAME + (".exe" if system.WINDOWS else "")
    # On Windows pip's scripts remove the suffix from their own name.
    started = Path(sys.argv[0].removesuffix(".exe") + ".exe" if system.WINDOWS else sys.argv[0])
    for script in (started, Path(sysconfig.get_path("scripts"), file)):
        if script.name == file and script.is_file():
            return script.absolute()
    raise CannotRegisterError(
        f"this installation has no {NAME} script",
        hint="install it in a checkout: uv tool install . (or pipx install .)",
    )


def is_temporary(prefix: str = sys.prefix) -> bool:
    """Returns whether this installation is in the cache of ``uvx`` or ``pipx run``, which may be cleared."""
    return not _CACHES.isdisjoint(Path(prefix).parts)


def seen_path(environ: Environment) -> str:
    """Returns PATH as clients see it, without the virtual environment active here."""
    active = environ.get("VIRTUAL_ENV")
    hidden = {os.path.join(active, "bin"), os.path.join(active, "Scripts")} if active else set[str]()
    folders = [each for each in environ.get("PATH", "").split(os.pathsep) if os.path.isabs(each)]
    return os.pathsep.join(each for each in folders if os.path.normpath(each) not in hidden)


def command(environ: Environment) -> str:
    """Returns the script's bare name if a client's PATH finds this installation, else its full path.

    Raises:
        CannotRegisterError: there is no script, or it is in a cache.
    """
    script = own_script()
    if is_temporary():
        raise CannotRegisterError(
            "this copy is in a cache that may be cleared",
            hint="install it (uv tool install, pipx install), or let the agent start uvx as in "
            "examples/clients/uvx.json",
        )
    found = shutil.which(NAME, path=seen_path(environ))
    return NAME if found and os.path.samefile(found, script) else str(script)


def http(url: str, token_env: str = "", project: str = "") -> Launch:
    """Returns the launch for a server at ``url``; an empty path becomes ``/mcp``.

    Raises:
        CannotRegisterError: ``url`` is invalid or contains a password, or ``token_env`` is no name.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise CannotRegisterError(
            f"{url!r} is not an HTTP address", hint="for example http://127.0.0.1:3160/mcp"
        )
    if parts.username or parts.password or parts.query:
        raise CannotRegisterError(
            "an address with a password or a query may contain a secret, and is not written to a file",
            hint="name the variable that holds the token: --token-env LOCAL_LLM_TOKEN",
        )
    if token_env and not re.fullmatch(r"[A-Za-z_]\w*", token_env):
        raise CannotRegisterError(
            "--token-env takes the name of a variable, not the token", hint="--token-env LOCAL_LLM_TOKEN"
        )
    path = parts.path if parts.path.strip("/") else "/mcp"
    return Launch(url=parts._replace(path=path).geturl(), token_env=token_env, project=project)
