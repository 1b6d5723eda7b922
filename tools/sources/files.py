"""Finds and reads the files of a call, limited to the project's root and the operator's folders.

Only regular files, after symlinks are resolved, and never one whose name suggests secrets. Folders and globs
leave out what ``.gitignore`` does; a file that the caller names is read all the same. (A hard link cannot be
told from the file itself: whoever can link into the project can read what it links to.)
"""

import os
import stat
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from engines import system
from engines.errors import AgentError, InvalidArgumentsError
from tools.base import Project
from tools.sources import paths as rules
from tools.sources.ignore_patterns import Ignored, glob, is_glob

MAX_FILE_BYTES = 16 * 2**20
MAX_TOTAL_BYTES = 64 * 2**20
MAX_FILES = 2_000
MAX_VISITED = 50_000
"""Folder entries visited in one call before its folders and globs are refused as too large."""
MAX_IGNORE_BYTES = 256 * 2**10
"""Size of a ``.gitignore``; a larger one is ignored."""

SKIPPED_FOLDERS = frozenset({
    ".hg", ".svn", ".venv", "venv", "node_modules", "__pycache__", ".tox", ".mypy_cache", ".pytest_cache",
    ".ruff_cache", ".idea", ".cache",
})  # fmt: skip
# .git: its config holds the tokens of remotes.
SECRET_FOLDERS = frozenset({
    ".git", ".ssh", ".gnupg", ".aws", ".azure", ".kube", ".docker", ".gcloud", ".password-store",
})  # fmt: skip
SECRET_NAMES = (
    ".env", ".env.*", "*.env", ".envrc", ".netrc", "_netrc", ".npmrc", ".pypirc", ".pgpass", ".my.cnf",
    ".htpasswd", "htpasswd", ".git-credentials", "*.pem", "*.key", "*.p8", "*.p12", "*.pfx", "*.jks",
    "*.keystore", "*.kdbx", "*.ppk", "*.asc", "*.ovpn", "id_rsa*", "id_dsa*", "id_ecdsa*", "id_ed25519*",
    "credentials", "credentials.*", ".credentials*", "*_credentials.json", "client_secret*.json", "secret",
    "secret.*", "secrets", "secrets.*", "*.secret", "*.secrets", "service-account*.json",
    "service_account*.json", "*firebase-adminsdk*.json", "*.tfstate", "*.tfstate.*", "*.tfvars", "shadow",
    ".vault-token", ".vault_pass*", ".token", "*.token", "token.json", "auth.json", "kubeconfig", ".s3cfg",
    ".boto", ".*_history",
)  # fmt: skip
HARMLESS_NAMES = ("*.example", "*.sample", "*.template", "*.dist", "*.pub")


class SourceRefusedError(AgentError):
    kind = "caller"
    code = "path_refused"


class SourceNotFoundError(AgentError):
    kind = "caller"
    code = "path_not_found"


class SourceUnusableError(AgentError):
    """Raised if a source is empty, binary, too large, or not what ``split`` expects."""

    kind = "caller"
    code = "source_unusable"


@dataclass(frozen=True, slots=True)
class Found:
    file: Path
    shown: str
    """Name in results: relative to the project root if the file is in it."""
    named: bool
    """Whether the caller named this file; else a folder or glob matched it."""


class Files:
    """The files of one call, counted against the limits."""

    def __init__(self, project: Project) -> None:
        """Raises SourceRefusedError: the project may read nothing."""
        roots = ([project.root] if project.root is not None else []) + list(project.folders)
        if not roots:
            raise SourceRefusedError(
                f"project {project.name!r} may read no files here",
                hint="the operator must list its folders under [projects.NAME] paths, or send text instead",
            )
        self._roots = [_real(root) for root in roots]
        self.skipped: list[str] = []
        """What a folder or glob left out because it could not be read."""
        self._bytes = 0
        self._visited = 0

    def find(self, paths: Iterable[str]) -> list[Found]:
        """Returns the files that ``paths`` match, without duplicates.

        Raises:
            SourceRefusedError: a path leads outside, or names a secret.
            SourceNotFoundError: a path or glob matches nothing.
            SourceUnusableError: they match too much.
            InvalidArgumentsError: a path or glob is malformed.
        """
        files: dict[Path, Found] = {}
        for path in paths:
            for found in self._expand(path):
                if found.named or found.file not in files:
                    files[found.file] = found
                if len(files) > MAX_FILES:
                    raise SourceUnusableError(
                        f"more than {MAX_FILES} files match, with {path}",
                        hint="name a smaller folder or glob",
                    )
        return list(files.values())

    def read(self, found: Found) -> bytes:
        """Returns the content of the file.

        Raises:
            SourceRefusedError: it is outside, a secret, or no regular file.
            SourceUnusableError: it cannot be opened, or is too large.
        """
        raw = self._opened(found.file, found.shown, MAX_FILE_BYTES)
        self._bytes += len(raw)
        if self._bytes > MAX_TOTAL_BYTES:
            raise _too_large(found.shown)
        return raw

    def _expand(self, path: str) -> Iterator[Found]:
        if not path.strip() or not _is_name(path):
            raise InvalidArgumentsError(f"{path!r} is not a path", hint="paths are files, folders or globs")
        if system.WINDOWS:
            self._check_name(path)
        elif system.IN_WSL:
            path = rules.in_wsl(path)
        resolved = self._anchor(path)
        # A name like [id].tsx is a file before it is a glob.
        if is_glob(path) and not (self._inside(resolved) and os.path.exists(_native(resolved))):
            yield from self._glob(path)
            return
        self._check_inside(resolved, _printable(path))
        if self._is_folder(resolved, _printable(path)):
            yield from (self._found(file) for file in self._walk(resolved))
        else:
            yield self._found(resolved, named=True)

    def _anchor(self, path: str) -> Path:
        """Returns ``path`` with symlinks resolved; a relative path starts at the first root."""
        resolved = _real(self._roots[0] / os.path.expanduser(path))
        return self._inside(resolved) or resolved

    def _check_name(self, path: str) -> None:
        """Refuses names that Windows must not even look at: devices, streams, other network shares.

        Windows logs in at a server to look for a file there, so that who names one learns who asks.
        """
        shares = {"", *(rules.share(str(root)) for root in self._roots)}
        reason = rules.refusal(path) or ("" if rules.share(path) in shares else "it is on another server")
        if reason:
            raise SourceRefusedError(
                f"{_printable(path)} is not read: {reason}", hint="name a file of the project"
            )

    def _inside(self, resolved: Path) -> Path | None:
        """Returns ``resolved`` as spelled from the root that contains it, or ``None``."""
        return rules.within(resolved, self._roots, _same)

    def _check_inside(self, resolved: Path, shown: str) -> None:
        inside = self._inside(resolved)
        if inside is None:
            raise SourceRefusedError(
                f"{shown} is outside of the project ({self._roots[0]})",
                hint="the operator can allow more folders: [projects.NAME] paths in the settings",
            )
        secret = _secret_part(inside, self._roots)
        if secret:
            raise SourceRefusedError(
                f"{shown} is not read: {secret!r} usually holds secrets",
                hint="copy what may be shared into a file of another name",
            )

    def _is_folder(self, resolved: Path, path: str) -> bool:
        try:
            return stat.S_ISDIR(os.stat(_native(resolved)).st_mode)
        except (FileNotFoundError, NotADirectoryError):
            raise SourceNotFoundError(
                f"{path} does not exist in {self._roots[0]}", hint="paths are relative to the project root"
            ) from None
        except OSError as error:
            raise _unreadable(path, error) from error

    def _glob(self, pattern: str) -> Iterator[Found]:
        fixed = pattern = pattern.replace("\\", "/") if system.WINDOWS else pattern
        while is_glob(fixed):
            fixed = os.path.dirname(fixed)
        rest = pattern[len(fixed) :].lstrip("/")
        try:
            wanted = glob(rest)
        except ValueError as error:
            raise InvalidArgumentsError(
                f"{pattern!r} is not a glob: {error}", hint="use *, ** and ?"
            ) from None
        folder = self._anchor(fixed or ".")
        self._check_inside(folder, _printable(pattern))
        depth = None if "**" in rest else rest.count("/")
        matches = [
            file for file in self._walk(folder, depth) if wanted.match(file.relative_to(folder).as_posix())
        ]
        if not matches:
            hint = "globs are relative to the project root; files that .gitignore names are left out"
            raise SourceNotFoundError(
                f"no file matches {_printable(pattern)} in {self._roots[0]}",
                hint="; ".join([hint, *self.skipped[:1]]),
            )
        yield from map(self._found, matches)

    def _walk(self, folder: Path, depth: int | None = None) -> Iterator[Path]:
        """Yields files at most ``depth`` levels below ``folder``; symlinked folders are not entered."""
        waiting = [(folder, self._ignored_above(folder), 0)]
        while waiting:
            top, ignored, level = waiting.pop()
            ignored = self._ignored_in(top, ignored)
            below: list[tuple[Path, Ignored, int]] = []
            for entry in self._entries(top):
                is_folder = _leads_to_folder(entry, follow_symlinks=False)
                path = _usual(entry.path)
                if _is_passed_over(entry, is_folder=is_folder) or ignored(path, is_folder=is_folder):
                    continue
                if not is_folder:
                    yield Path(path)
                elif level != depth:
                    below.append((Path(path), ignored, level + 1))
            waiting += reversed(below)

    def _entries(self, folder: Path) -> list[os.DirEntry[str]]:
        """Returns the entries of ``folder`` in a stable order; none if it cannot be listed."""
        entries: list[os.DirEntry[str]] = []
        try:
            with os.scandir(_native(folder)) as listing:
                for entry in listing:
                    entries.append(entry)
                    self._visited += 1
                    if self._visited > MAX_VISITED:
                        raise SourceUnusableError(
                            f"more than {MAX_VISITED} entries in {self._shown(folder)}",
                            hint="name a smaller folder or glob",
                        )
        except OSError as error:
            self.skipped.append(_unreadable(self._shown(folder), error).message)
            return []
        return sorted(entries, key=lambda entry: entry.name)

    def _ignored_above(self, folder: Path) -> Ignored:
        """Returns the ignore rules from the root down to ``folder``; none if they ignore ``folder``."""
        ignored = Ignored()
        root = next(root for root in self._roots if root == folder or root in folder.parents)
        for parent in reversed([each for each in folder.parents if each == root or root in each.parents]):
            ignored = self._ignored_in(parent, ignored)
            child = parent / folder.relative_to(parent).parts[0]
            if ignored(str(child), is_folder=True):
                ignored = Ignored()
        return ignored

    def _ignored_in(self, folder: Path, above: Ignored) -> Ignored:
        file = folder / ".gitignore"
        try:
            raw = self._opened(file, self._shown(file), MAX_IGNORE_BYTES)
        except AgentError as error:
            is_absent = isinstance(error.__cause__, FileNotFoundError | NotADirectoryError)
            if not is_absent and error.message not in self.skipped:
                self.skipped.append(error.message)
            return above
        return above.below(folder, raw.decode(errors="replace"))

    def _found(self, file: Path, *, named: bool = False) -> Found:
        return Found(file, self._shown(file), named)

    def _shown(self, file: Path) -> str:
        root = self._roots[0]
        return _printable(file.relative_to(root).as_posix() if root in file.parents else str(file))

    def _opened(self, file: Path, shown: str, limit: int) -> bytes:
        """Returns at most ``limit`` bytes. Checks the opened file, so swapping in a symlink gains nothing."""
        resolved = _real(file)
        self._check_inside(resolved, shown)
        try:
            with open(_native(resolved), "rb", opener=_open) as opened:
                self._check_opened(os.fstat(opened.fileno()), resolved, shown)
                raw = opened.read(limit + 1)
        except OSError as error:
            raise _unreadable(shown, error) from error
        if len(raw) > limit:
            raise _too_large(shown, limit)
        return raw

    def _check_opened(self, opened: os.stat_result, resolved: Path, shown: str) -> None:
        if not stat.S_ISREG(opened.st_mode):
            raise SourceRefusedError(f"{shown} is not a regular file", hint="name a text file")
        again = _real(resolved)
        self._check_inside(again, shown)
        try:
            same = os.path.samestat(opened, os.stat(_native(again)))
        except OSError:
            same = False
        if not same:
            raise SourceRefusedError(f"{shown} changed while it was opened", hint="try again")


def _native(path: Path) -> Path:
    """Returns ``path`` as this system's functions take it, however long it is."""
    return Path(rules.extended(os.path.abspath(path))) if system.WINDOWS else path


def _real(path: Path) -> Path:
    """Returns ``path`` with symlinks resolved."""
    # Not Path.resolve, which raises RuntimeError for a symlink to itself.
    resolved = os.path.realpath(_native(path))
    return Path(_usual(resolved))


def _usual(path: str) -> str:
    return rules.short(path) if system.WINDOWS else path


def _open(path: str, flags: int) -> int:
    return os.open(path, system.READING)


def _same(one: Path, other: Path) -> bool:
    return system.same(_native(one), _native(other))


def _is_passed_over(entry: os.DirEntry[str], *, is_folder: bool) -> bool:
    """Returns whether ``entry`` is skipped when a folder around it is named."""
    if entry.name.lower() in SKIPPED_FOLDERS | SECRET_FOLDERS:
        return True
    return not is_folder and _leads_to_folder(entry, follow_symlinks=True)


def _leads_to_folder(entry: os.DirEntry[str], *, follow_symlinks: bool) -> bool:
    try:
        return entry.is_dir(follow_symlinks=follow_symlinks)
    except OSError:
        # A symlink to itself, for one: as a file, it is skipped with a note when it is read.
        return False


def _is_name(path: str) -> bool:
    """Returns whether ``path`` is a possible file name."""
    try:
        return b"\0" not in os.fsencode(path)
    except UnicodeEncodeError:
        return False


def _printable(name: str) -> str:
    """Returns ``name`` on one line of valid UTF-8, safe in answers and prompts."""
    return "".join(each if each.isprintable() else "\ufffd" for each in name)


def _unreadable(shown: str, error: OSError) -> SourceUnusableError:
    return SourceUnusableError(
        f"{shown} cannot be read: {error.strerror or error}", hint="check that it is there and may be read"
    )


def _too_large(shown: str, limit: int = MAX_FILE_BYTES) -> SourceUnusableError:
    return SourceUnusableError(
        f"{shown} is too large (one file: {limit / 2**20:g} MiB, one call: {MAX_TOTAL_BYTES >> 20} MiB)",
        hint="name a part of it, or fewer files",
    )


def _secret_part(resolved: Path, roots: Sequence[Path]) -> str:
    """Returns the part of the path below its root that looks like a secret, or an empty string."""
    around = [root for root in roots if root == resolved or root in resolved.parents]
    innermost = max(around, key=lambda root: len(root.parts))
    for part in resolved.relative_to(innermost).parts:
        # Folded as some file systems do: case, compatibility forms, trailing dots.
        name = unicodedata.normalize("NFKC", part).casefold().rstrip(" .")
        if name in SECRET_FOLDERS or (_matches(name, SECRET_NAMES) and not _matches(name, HARMLESS_NAMES)):
            return part
    return ""


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)
