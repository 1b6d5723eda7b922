"""Adds, updates and removes the server's entry in a client's settings file.

All other bytes of the file stay the same. A backup of the file before the first entry is kept beside
it, so that removal restores even an empty object or an empty file.
"""

import codecs
import os
import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from engines.base import JsonObject, JsonValue
from mcp_server.clients import jsonc, toml_table
from mcp_server.clients.catalogue import NAME, CannotRegisterError, Client, Environment, Scope

BACKUP = ".bak-local-llm-agent"

_OURS = frozenset(
    {
        "type",
        "command",
        "args",
        "env_vars",
        "url",
        "httpUrl",
        "headers",
        "bearer_token_env_var",
        "http_headers",
    }
)
"""Keys this module owns; others in an entry belong to the user."""

Outcome = Literal["added", "updated", "unchanged", "removed", "absent"]


@dataclass(frozen=True, slots=True)
class Registration:
    """The server's entry in one settings file."""

    client: Client
    scope: Scope
    file: Path

    @property
    def backup(self) -> Path:
        return self.file.with_name(self.file.name + BACKUP)

    def entry(self) -> JsonObject | None:
        """Returns the registered entry, if any.

        Raises:
            CannotRegisterError: the file cannot be read.
        """
        with self._faults():
            return self._entry_in(self._text())

    def snippet(self, entry: JsonObject) -> str:
        """Returns the text of a new file with ``entry``."""
        return self._with("", entry)

    def add(self, entry: JsonObject) -> Outcome:
        """Adds or updates ``entry``; keys that the user added to it stay.

        Raises:
            CannotRegisterError: the file cannot be read or written; it is unchanged.
        """
        with self._faults():
            text = self._text()
            old = self._entry_in(text)
            if old is None:
                added = self._with(text, entry)
                self._keep()
                self._write(added)
                return "added"
            new = entry | {key: value for key, value in old.items() if key not in _OURS}
            if new == old:
                return "unchanged"
            self._write(self._with(text, new))
            return "updated"

    def remove(self) -> Outcome:
        """Removes the entry, and the file if it was created for it.

        Raises:
            CannotRegisterError: the file cannot be read or written; it is unchanged.
        """
        with self._faults():
            text = self._text()
            entry = self._entry_in(text)
            if entry is None:
                return "absent"
            kept = self._kept()
            if kept is not None and self._with(kept, entry) == text:
                self._write(kept)
                self.backup.unlink()
            elif self._with("", entry) == text:
                self.file.unlink()
            else:
                self._write(self._without(text))
            return "removed"

    @contextmanager
    def _faults(self) -> Generator[None]:
        try:
            yield
        except (jsonc.JsoncError, toml_table.TomlTableError, OSError, UnicodeDecodeError) as error:
            raise CannotRegisterError(
                f"{self.file} cannot be used: {error}",
                hint="nothing was changed; correct the file, or add what --print shows by hand",
            ) from None

    def _keep(self) -> None:
        if self.file.exists():
            shutil.copy2(self.file, self.backup)

    def _kept(self) -> str | None:
        return _read(self.backup) if self.backup.exists() else None

    def _text(self) -> str:
        return _read(self.file) if self.file.exists() else ""

    def _is_toml(self) -> bool:
        return self.file.suffix == ".toml"

    def _entry_in(self, text: str) -> JsonObject | None:
        servers: JsonValue
        if self._is_toml():
            servers = toml_table.parse(text).get(self.client.table)
        else:
            root = jsonc.parse(text).value if text.strip() else {}
            if not isinstance(root, dict):
                raise jsonc.JsoncError("the outermost value is not an object")
            servers = root.get(self.client.table)
        entry = servers.get(NAME) if isinstance(servers, dict) else None
        return entry if isinstance(entry, dict) else None

    def _with(self, text: str, entry: JsonObject) -> str:
        if self._is_toml():
            return toml_table.put(text, self.client.table, NAME, entry)
        if not text.strip():
            text += "{}\n"
        return jsonc.put(text, (self.client.table, NAME), entry)

    def _without(self, text: str) -> str:
        if self._is_toml():
            return toml_table.drop(text, self.client.table, NAME)
        return jsonc.drop(text, (self.client.table, NAME))

    def _write(self, text: str) -> None:
        """Replaces the file atomically; keeps symbolic links, permissions and a byte order mark."""
        target = self.file.resolve()
        target.parent.mkdir(parents=True, exist_ok=True)
        marked = target.exists() and target.read_bytes().startswith(codecs.BOM_UTF8)
        descriptor, scratch = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        try:
            with os.fdopen(descriptor, "wb") as out:
                out.write(text.encode("utf-8-sig" if marked else "utf-8"))
            os.chmod(scratch, _mode(target))
            os.replace(scratch, target)
        except BaseException:
            os.unlink(scratch)
            raise


def _read(file: Path) -> str:
    """Returns the text with its line ends, without a byte order mark."""
    return file.read_bytes().decode("utf-8-sig")


def _mode(file: Path) -> int:
    """Returns the file's permissions, or the default of a new file."""
    if file.exists():
        return file.stat().st_mode & 0o7777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


def registration(client: Client, scope: Scope, root: Path | None, environ: Environment) -> Registration:
    """Returns the registration of ``client`` for ``scope``.

    Raises:
        CannotRegisterError: there is no project here.
    """
    if scope == "user":
        return Registration(client, scope, client.user_file(environ))
    if root is None:
        raise CannotRegisterError(
            "there is no project here", hint="change into the project's folder, or register with --scope user"
        )
    return Registration(client, scope, root / client.project_file)
