"""Rules of file names and paths that differ between systems, as functions of what they are told.

Nothing here touches a file, so that each system's rules can be tested on all.
"""

import re
from collections.abc import Callable, Iterable
from pathlib import PurePath
from typing import TypeVar
from urllib.parse import unquote

Folder = TypeVar("Folder", bound=PurePath)

LONGEST = 240
"""Characters of a Windows path from which on some versions need it in its extended form."""

_EXTENDED = re.compile(r"\\\\\?\\(?:[A-Za-z]:\\|UNC\\)", re.IGNORECASE)
_OF_DEVICES = re.compile(r"[\\/]{2}[?.][\\/]")
_DEVICE = re.compile(
    r"(?:con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])(?:[ .:].*)?", re.IGNORECASE | re.DOTALL
)
_DRIVE = re.compile(r"[A-Za-z]:")


def refusal(path: str) -> str:
    """Returns why Windows opens something other than a file at ``path``, or an empty string."""
    if _OF_DEVICES.match(path) and not _EXTENDED.match(path):
        return "it is in the namespace of devices"
    plain = short(path)
    for part in re.split(r"[\\/]", _DRIVE.sub("", plain, count=1) if _DRIVE.match(plain) else plain):
        if _DEVICE.fullmatch(part):
            return f"{part!r} is a device on Windows"
        # The stream "::$DATA" of a file is its content: its name would hide what the file is called.
        if ":" in part:
            return f"{part!r} names a stream inside a file"
    return ""


def share(path: str) -> str:
    """Returns the network share of a Windows path, ``\\\\server\\share``, or an empty string."""
    found = re.match(r"\\\\(?![?.]\\)([^\\]+)\\*([^\\]*)", short(path).replace("/", "\\"))
    return f"\\\\{found[1]}\\{found[2]}".casefold() if found else ""


def extended(path: str) -> str:
    """Returns an absolute Windows path in the form that may be longer than 260 characters, if it is long."""
    if len(path) < LONGEST or path.startswith("\\\\?\\"):
        return path
    return f"\\\\?\\UNC{path[1:]}" if path.startswith("\\\\") else f"\\\\?\\{path}"


def short(path: str) -> str:
    """Returns a Windows path in its usual form."""
    if path[:8].upper() == "\\\\?\\UNC\\":
        return f"\\\\{path[8:]}"
    return path[4:] if _EXTENDED.match(path) else path


def within(path: Folder, folders: Iterable[Folder], same: Callable[[Folder, Folder], bool]) -> Folder | None:
    """Returns ``path`` as spelled from the folder of ``folders`` that contains it, or ``None``.

    ``same`` tells whether two paths lead to one folder. Spelling alone does not: most file systems of Windows
    and macOS ignore case, but on Windows one folder may distinguish "src" and "SRC" inside it.
    """
    known = list(folders)
    around = (path, *path.parents)
    for each in around:
        if any(str(each) == str(folder) for folder in known):
            return path
    for each in around:
        for folder in known:
            if same(each, folder):
                return folder / path.relative_to(each)
    return None


def of_uri(uri: str, *, windows: bool) -> str:
    """Returns the absolute path in a ``file`` URI, or an empty string.

    VS Code writes ``C:\\work`` as ``file:///c%3A/work``, and a network share as its server.
    """
    scheme, _, rest = uri.partition("://")
    if scheme.lower() != "file":
        return ""
    server, slash, path = rest.partition("/")
    server, path = unquote(server), unquote(slash + path)
    if server.lower() == "localhost":
        server = ""
    if not windows:
        return "" if server else path
    if server:
        return f"\\\\{server}{path}".replace("/", "\\")
    found = re.fullmatch(r"/([A-Za-z])[:|](/.*)?", path, re.DOTALL)
    return f"{found[1]}:{found[2] or '/'}".replace("/", "\\") if found else ""


def in_wsl(path: str) -> str:
    """Returns the path inside WSL of a Windows path, as agents on Windows give it; other paths unchanged."""
    if found := re.fullmatch(r"([A-Za-z]):[\\/](.*)", path, re.DOTALL):
        return f"/mnt/{found[1].lower()}/{found[2]}".replace("\\", "/")
    if found := re.fullmatch(r"[\\/]{2}wsl(?:\.localhost|\$)[\\/][^\\/]+([\\/].*)?", path, re.DOTALL | re.I):
        return (found[1] or "/").replace("\\", "/")
    return path
