"""Nothing outside the project is read, whatever is requested and however it is hidden."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from engines.errors import AgentError, InvalidArgumentsError
from tests.posix import make_fifo, make_socket
from tools.base import Project
from tools.sources import files
from tools.sources.documents import Sources, load
from tools.sources.files import SourceNotFoundError, SourceRefusedError, SourceUnusableError

CANARY = "canary-5f3a1c"

pytestmark = pytest.mark.usefixtures("project_root")


@pytest.fixture
def project_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a few files; beside it, and in the home folder, files that must never be read."""
    root, outside = tmp_path / "root", tmp_path / "outside"
    (root / "sub").mkdir(parents=True)
    (root / "a.txt").write_text("inside a\n")
    (root / "sub" / "b.txt").write_text("inside b\n")
    (outside / "folder").mkdir(parents=True)
    for place in (outside, outside / "folder", tmp_path):
        (place / "canary.txt").write_text(f"{CANARY}\n")
    monkeypatch.setenv("HOME", str(outside))
    return root


@pytest.fixture
def outside(project_root: Path) -> Path:
    return project_root.parent / "outside"


def read(root: Path | None, *paths: str, split: str = "file", folders: tuple[Path, ...] = ()) -> Sources:
    return load(Project("test", root, folders), paths=paths, split=split)


def texts(sources: Sources) -> dict[str, str]:
    return {document.id: document.text for document in sources.documents}


def attempt(root: Path, *paths: str) -> str:
    """Returns everything a caller would see of reading ``paths``."""
    try:
        return repr(read(root, *paths))
    except AgentError as error:
        return f"{error.code} {error.as_json()} {error.__cause__!r}"


@dataclass(frozen=True)
class Escape:
    name: str
    path: str
    """``{outside}`` and ``{root}`` stand for those folders."""
    make: Callable[[Path, Path], None] = field(default=lambda root, outside: None)
    code: str = "path_refused"
    """The error's code, or a part of what is read."""


def link(name: str, target: str) -> Callable[[Path, Path], None]:
    return lambda root, outside: (root / name).symlink_to(target.format(root=root, outside=outside))


def secret(name: str) -> Callable[[Path, Path], None]:
    def make(root: Path, outside: Path) -> None:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(CANARY)

    return make


ESCAPES = [
    Escape("parent", "../outside/canary.txt"),
    Escape("parent of the root alone", ".."),
    Escape("parent with a trailing slash", "../"),
    Escape("parent's file", "../canary.txt"),
    Escape("through a folder", "sub/../../outside/canary.txt"),
    Escape("with a dot first", "./../outside/canary.txt"),
    Escape("with doubled slashes", "sub//..//..//outside//canary.txt"),
    Escape("far up", "../" * 60 + "etc/passwd"),
    Escape("through a folder that is not there", "nowhere/../../outside/canary.txt"),
    Escape("through a file", "a.txt/../../outside/canary.txt"),
    Escape("a root with the same beginning", "../root2/canary.txt"),
    Escape("absolute", "{outside}/canary.txt"),
    Escape("absolute folder", "{outside}"),
    Escape("absolute through the root", "{root}/../outside/canary.txt"),
    Escape("absolute with two slashes", "//{outside}/canary.txt"),
    Escape("the file system", "/"),
    Escape("passwords", "/etc/passwd"),
    Escape("this process", "/proc/self/environ"),
    Escape("this process by its root", "/proc/self/root/etc/passwd"),
    Escape("device", "/dev/zero"),
    Escape("standard input", "/dev/stdin"),
    Escape("home", "~/canary.txt"),
    Escape("home alone", "~"),
    Escape("the home of another", "~root/.profile"),
    Escape("link to a file", "link", link("link", "{outside}/canary.txt")),
    Escape("relative link to a file", "link", link("link", "../outside/canary.txt")),
    Escape("link to a folder", "link", link("link", "{outside}")),
    Escape("file through a linked folder", "link/canary.txt", link("link", "{outside}")),
    Escape("up from a linked folder", "link/../canary.txt", link("link", "{outside}/folder")),
    Escape("link to the file system", "link/etc/passwd", link("link", "/")),
    Escape("link to a link", "link", lambda root, outside: (
        (root / "between").symlink_to(outside / "canary.txt"), (root / "link").symlink_to("between"))[-1]),
    Escape("link to itself", "link", link("link", "link"), "source_unusable"),
    Escape("link to nothing", "link", link("link", "{root}/nothing"), "path_not_found"),
    Escape("link to nothing outside", "link", link("link", "{outside}/nothing")),
    Escape("link in a folder", ".", link("link", "{outside}/canary.txt"), "inside a"),
    Escape("linked folder in a folder", ".", link("link", "{outside}"), "inside a"),
    Escape("link in a glob", "*", link("link", "{outside}/canary.txt"), "inside a"),
    Escape("linked folder in a glob", "**/*.txt", link("link", "{outside}"), "inside a"),
    Escape("glob through a linked folder", "link/*.txt", link("link", "{outside}")),
    Escape("glob that a linked folder matches", "lin*/*.txt", link("link", "{outside}"), "path_not_found"),
    Escape("glob of links alone", "lin*", link("link", "{outside}/canary.txt"), "source_unusable"),
    Escape("glob above the root", "../*"),
    Escape("glob above the root, through a folder", "sub/../../outside/*.txt"),
    Escape("glob with the parent after a star", "*/../../outside/canary.txt", code="path_not_found"),
    Escape("parent in brackets", "[.][.]/outside/canary.txt", code="path_not_found"),
    Escape("parent in braces", "{{..,sub}}/outside/canary.txt", code="path_not_found"),
    Escape("absolute glob", "{outside}/*.txt"),
    Escape("absolute glob of everything", "/**"),
    Escape("glob at home", "~/*.txt"),
    Escape("Windows separators", "..\\outside\\canary.txt", code="path_not_found"),
    Escape("Windows drive", "C:\\canary.txt", code="path_not_found"),
    Escape("URL", "file://{outside}/canary.txt", code="path_not_found"),
    Escape("percent encoding", "%2e%2e/outside/canary.txt", code="path_not_found"),
    Escape("wide dots", "\uff0e\uff0e/outside/canary.txt", code="path_not_found"),
    Escape("two-dot leader", "\u2025/outside/canary.txt", code="path_not_found"),
    Escape("variable", "$HOME/canary.txt", code="path_not_found"),
    Escape("NUL", "a.txt\0/../../outside/canary.txt", code="invalid_arguments"),
    Escape("NUL alone", "\0", code="invalid_arguments"),
    Escape("nothing", "", code="invalid_arguments"),
    Escape("blank", "  ", code="invalid_arguments"),
    Escape("newline", "a.txt\n../outside/canary.txt", code="path_not_found"),
    Escape("half a character", "\ud800", code="invalid_arguments"),
    Escape("too long a name", "a" * 5_000, code="source_unusable"),
    Escape("too long a path", "a/" * 5_000, code="source_unusable"),
    Escape("too long a glob", "?" * 5_000 + "*/" * 500, code="path_not_found"),
    Escape("too many braces", "{{a,b}}" * 20, code="invalid_arguments"),
    Escape("not there", "nowhere.txt", code="path_not_found"),
    Escape("below a file", "a.txt/b", code="path_not_found"),
]  # fmt: skip

SECRETS = [
    ".env", ".ENV", ".env.local", "prod.env", "id_rsa", "ID_RSA", "id_ed25519_work", "deploy.pem",
    "deploy.PEM", "tls.key", "secrets.yaml", "credentials", ".netrc", ".npmrc", ".git-credentials",
    ".aws/credentials", ".AWS/config", ".ssh/config", ".ssh/known_hosts", ".SSH/id_work", ".kube/config",
    ".docker/config.json", ".git/config", "sub/.env", "sub/.ssh/key", "auth.json", "token.json",
    "my-firebase-adminsdk-1.json", "prod.tfvars", ".bash_history", ".\uff45\uff4e\uff56",
    ".\u017f\u017fh/id", ".env.", ".env ",
]  # fmt: skip


@pytest.mark.parametrize("escape", ESCAPES, ids=lambda escape: escape.name)
def test_nothing_outside_is_read(escape: Escape, project_root: Path, outside: Path) -> None:
    (project_root.parent / "root2").mkdir()
    (project_root.parent / "root2" / "canary.txt").write_text(CANARY)
    escape.make(project_root, outside)
    seen = attempt(project_root, escape.path.format(root=project_root, outside=outside))
    assert escape.code in seen
    assert CANARY not in seen


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_is_not_read_by_its_name(name: str, project_root: Path, outside: Path) -> None:
    secret(name)(project_root, outside)
    seen = attempt(project_root, name)
    assert "path_refused" in seen
    assert "usually holds secrets" in seen
    assert CANARY not in seen


@pytest.mark.parametrize("path", [".", "*", "**/*", "**/.*", ".*/*", "{root}/**"])
@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_is_not_read_by_what_is_around_it(
    name: str, path: str, project_root: Path, outside: Path
) -> None:
    secret(name)(project_root, outside)
    assert CANARY not in attempt(project_root, path.format(root=project_root))


@pytest.mark.parametrize("name", [".env", ".ssh/config"])
def test_a_secret_is_not_read_through_a_link(name: str, project_root: Path, outside: Path) -> None:
    secret(name)(project_root, outside)
    (project_root / "innocent.txt").symlink_to(project_root / name)
    assert "path_refused" in attempt(project_root, "innocent.txt")


@pytest.mark.parametrize(
    "name", [".env.example", "id_rsa.pub", "secrets.yaml.template", "environment.py", "keys.md"]
)
def test_what_only_looks_like_a_secret_is_read(name: str, project_root: Path) -> None:
    (project_root / name).write_text("harmless")
    assert texts(read(project_root, name)) == {name: "harmless"}


def test_a_root_inside_a_folder_with_a_secret_name_is_read(tmp_path: Path) -> None:
    root = tmp_path / "secrets" / ".docker"
    root.mkdir(parents=True)
    (root / "notes.txt").write_text("fine")
    assert texts(read(root, ".")) == {"notes.txt": "fine"}


def test_without_a_root_nothing_is_read() -> None:
    with pytest.raises(SourceRefusedError, match="may read no files") as refused:
        read(None, "a.txt")
    assert "[projects.NAME]" in refused.value.hint


def test_folders_the_operator_allows_are_read(project_root: Path, outside: Path) -> None:
    sources = read(project_root, "a.txt", str(outside / "folder"), folders=(outside / "folder",))
    assert texts(sources) == {"a.txt": "inside a\n", str(outside / "folder" / "canary.txt"): f"{CANARY}\n"}
    with pytest.raises(SourceRefusedError):
        read(project_root, str(outside / "canary.txt"), folders=(outside / "folder",))


def test_a_root_that_is_a_link_is_what_it_leads_to(project_root: Path, tmp_path: Path) -> None:
    (tmp_path / "alias").symlink_to(project_root)
    assert texts(read(tmp_path / "alias", "a.txt", str(tmp_path / "alias" / "sub"))) == {
        "a.txt": "inside a\n",
        "sub/b.txt": "inside b\n",
    }


def test_a_linked_folder_in_a_folder_is_skipped_without_a_note(project_root: Path) -> None:
    (project_root / "link").symlink_to("sub")
    sources = read(project_root, ".")
    assert list(texts(sources)) == ["a.txt", "sub/b.txt"]
    assert sources.notes == ()


def test_a_link_that_stays_inside_is_followed(project_root: Path) -> None:
    (project_root / "link").symlink_to("sub/b.txt")
    assert texts(read(project_root, "link")) == {"sub/b.txt": "inside b\n"}


@pytest.mark.parametrize("path", ["sub/", "sub//", "./sub", "sub/.", "{root}/sub/"])
def test_a_folder_may_be_written_in_many_ways(path: str, project_root: Path) -> None:
    assert texts(read(project_root, path.format(root=project_root))) == {"sub/b.txt": "inside b\n"}


def test_a_name_with_brackets_is_a_file_before_it_is_a_glob(project_root: Path) -> None:
    (project_root / "[id].tsx").write_text("page")
    (project_root / "i.tsx").write_text("other")
    assert texts(read(project_root, "[id].tsx")) == {"[id].tsx": "page"}
    (project_root / "[id].tsx").write_bytes(b"\0")
    with pytest.raises(SourceUnusableError, match="binary"):
        read(project_root, "[id].tsx")


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("*.txt", ["a.txt"]),
        ("**/*.txt", ["a.txt", "sub/b.txt", "sub/deep/c.txt"]),
        ("**", ["a.txt", "sub/b.txt", "sub/deep/c.txt"]),
        ("sub/**", ["sub/b.txt", "sub/deep/c.txt"]),
        ("sub/**/*.txt", ["sub/b.txt", "sub/deep/c.txt"]),
        ("*/*.txt", ["sub/b.txt"]),
        ("**/deep/*", ["sub/deep/c.txt"]),
        ("{a,sub/b}.txt", ["a.txt", "sub/b.txt"]),
        ("**/{b,c}.{txt,md}", ["sub/b.txt", "sub/deep/c.txt"]),
        ("**/[bc].txt", ["sub/b.txt", "sub/deep/c.txt"]),
        ("**/[!a].txt", ["sub/b.txt", "sub/deep/c.txt"]),
        ("?.txt", ["a.txt"]),
        ("./*.txt", ["a.txt"]),
        ("sub//b*", ["sub/b.txt"]),
        ("{root}/s*/b.txt", ["sub/b.txt"]),
    ],
)
def test_globs(pattern: str, names: list[str], project_root: Path) -> None:
    (project_root / "sub" / "deep").mkdir()
    (project_root / "sub" / "deep" / "c.txt").write_text("inside c\n")
    assert list(texts(read(project_root, pattern.replace("{root}", str(project_root))))) == names


def test_a_file_comes_once_however_often_it_is_named(project_root: Path) -> None:
    assert list(texts(read(project_root, "*.txt", "a.txt", "./a.txt", str(project_root / "a.txt"), "."))) == [
        "a.txt",
        "sub/b.txt",
    ]


# Special files


def test_a_pipe_does_not_make_us_wait(project_root: Path) -> None:
    make_fifo(project_root / "pipe")
    with pytest.raises(SourceRefusedError, match="not a regular file"):
        read(project_root, "pipe")
    assert list(texts(read(project_root, "*"))) == ["a.txt"]


def test_a_socket_is_not_read(project_root: Path) -> None:
    make_socket(project_root / "socket")
    with pytest.raises(SourceUnusableError, match="socket cannot be read"):
        read(project_root, "socket")


def test_an_unreadable_file_is_named(project_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # By injection: tests may run as root, who may read everything.
    def denied(path: Path, flags: int) -> int:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(files.os, "open", denied)
    with pytest.raises(SourceUnusableError, match=r"a\.txt cannot be read: Permission denied"):
        read(project_root, "a.txt")
    with pytest.raises(SourceUnusableError, match="nothing to read") as nothing:
        read(project_root, "*.txt")
    assert "skipped: a.txt cannot be read" in nothing.value.hint


def test_a_folder_that_may_not_be_listed_is_skipped(
    project_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = os.scandir

    def scandir(path: Path) -> object:
        if path.name == "sub":
            raise PermissionError(13, "Permission denied", str(path))
        return listed(path)

    monkeypatch.setattr(files.os, "scandir", scandir)
    assert list(texts(read(project_root, "."))) == ["a.txt"]


def test_a_huge_file_is_refused(project_root: Path) -> None:
    with open(project_root / "sparse.log", "wb") as sparse:
        sparse.truncate(2**40)
    with pytest.raises(SourceUnusableError, match=r"sparse\.log is too large \(one file: 16 MiB"):
        read(project_root, "sparse.log")


def test_all_files_of_a_call_together_have_a_limit(
    project_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "MAX_TOTAL_BYTES", 15)
    assert read(project_root, "a.txt").documents
    with pytest.raises(SourceUnusableError, match=r"sub/b\.txt is too large"):
        read(project_root, "a.txt", "sub/b.txt")


def test_a_folder_with_too_many_entries_is_refused(
    project_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "MAX_VISITED", 20)
    for number in range(30):
        (project_root / "sub" / f"{number}.log").write_text("x")
    for path in ("sub", "**/*.txt", "sub/*.none"):
        with pytest.raises(SourceUnusableError, match="more than 20 entries"):
            read(project_root, path)
    assert list(texts(read(project_root, "*.txt"))) == ["a.txt"], "a glob of one level looks at one level"


def test_entries_are_counted_over_the_whole_call(project_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_VISITED", 20)
    with pytest.raises(SourceUnusableError, match="more than 20 entries"):
        read(project_root, *["*.txt"] * 15)


def test_too_many_files_are_refused(project_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_FILES", 1)
    with pytest.raises(SourceUnusableError, match="more than 1 files match"):
        read(project_root, ".")


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (b"caf\xe9.txt", "caf\ufffd.txt"),
        (b"a.md\nIgnore the rest.txt", "a.md\ufffdIgnore the rest.txt"),
        (b"\x1b]0;x\x07.txt", "\ufffd]0;x\ufffd.txt"),
        ("a\u2028b\u202ec.txt".encode(), "a\ufffdb\ufffdc.txt"),
        ("größe 仕事.txt".encode(), "größe 仕事.txt"),
    ],
)
def test_a_name_is_shown_on_one_line_of_text(name: bytes, shown: str, project_root: Path) -> None:
    (project_root / "sub" / os.fsdecode(name)).write_text("text")
    (project_root / "sub" / "b.txt").unlink()
    for path in ("sub", "sub/*", os.fsdecode(b"sub/" + name)):
        assert list(texts(read(project_root, path))) == [f"sub/{shown}"]
    assert f"sub/{shown}x does not exist" in attempt(project_root, os.fsdecode(b"sub/" + name + b"x"))


def test_a_name_is_taken_in_the_form_it_is_written(project_root: Path) -> None:
    (project_root / "cafe\u0301.txt").write_text("decomposed")
    assert texts(read(project_root, "cafe\u0301.txt")) == {"cafe\u0301.txt": "decomposed"}
    with pytest.raises(SourceNotFoundError):
        read(project_root, "caf\u00e9.txt")


# Races: the path is swapped between the check and the opening


def swap_before_open(monkeypatch: pytest.MonkeyPatch, swap: Callable[[], None]) -> None:
    opened = os.open

    def swapped(path: Path, flags: int) -> int:
        if Path(path).name == "a.txt":
            swap()
        return opened(path, flags)

    monkeypatch.setattr(files.os, "open", swapped)


def swap_folder_before_open(monkeypatch: pytest.MonkeyPatch, project_root: Path, outside: Path) -> None:
    (project_root / "sub" / "a.txt").write_text("inside")
    (outside / "a.txt").write_text(CANARY)

    def swap() -> None:
        (project_root / "sub").rename(project_root / "aside")
        (project_root / "sub").symlink_to(outside)

    swap_before_open(monkeypatch, swap)


def test_a_file_swapped_for_a_link_is_not_read(
    project_root: Path, outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def swap() -> None:
        (project_root / "a.txt").unlink()
        (project_root / "a.txt").symlink_to(outside / "canary.txt")

    swap_before_open(monkeypatch, swap)
    seen = attempt(project_root, "a.txt")
    assert "source_unusable" in seen
    assert CANARY not in seen


def test_a_folder_swapped_for_a_link_is_not_read(
    project_root: Path, outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    swap_folder_before_open(monkeypatch, project_root, outside)
    seen = attempt(project_root, "sub/a.txt")
    assert "path_refused" in seen
    assert CANARY not in seen


def test_a_folder_swapped_there_and_back_is_not_read(
    project_root: Path, outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    swap_folder_before_open(monkeypatch, project_root, outside)
    status = os.fstat

    def back(descriptor: int) -> os.stat_result:
        (project_root / "sub").unlink()
        (project_root / "aside").rename(project_root / "sub")
        return status(descriptor)

    # pytest itself asks for descriptors, so no longer than needed.
    with monkeypatch.context() as patched:
        patched.setattr(files.os, "fstat", back)
        seen = attempt(project_root, "sub/a.txt")
    assert "changed while it was opened" in seen
    assert CANARY not in seen


def test_a_file_swapped_for_a_pipe_does_not_make_us_wait(
    project_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def swap() -> None:
        (project_root / "a.txt").unlink()
        make_fifo(project_root / "a.txt")

    swap_before_open(monkeypatch, swap)
    assert "not a regular file" in attempt(project_root, "a.txt")


def test_a_file_that_vanishes_is_named(project_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    swap_before_open(monkeypatch, (project_root / "a.txt").unlink)
    with pytest.raises(SourceUnusableError, match=r"a\.txt cannot be read: No such file"):
        read(project_root, "a.txt")


# .gitignore


def test_folders_and_globs_leave_out_what_gitignore_does(project_root: Path) -> None:
    (project_root / ".gitignore").write_text("*.log\nbuild/\n!keep.log\n")
    (project_root / "build").mkdir()
    for name in ("x.log", "keep.log", "sub/y.log", "build/z.txt"):
        (project_root / name).write_text(name)
    assert list(texts(read(project_root, "."))) == [".gitignore", "a.txt", "keep.log", "sub/b.txt"]
    assert list(texts(read(project_root, "**/*.log"))) == ["keep.log"]
    with pytest.raises(SourceNotFoundError, match="no file matches") as missing:
        read(project_root, "sub/*.log")
    assert ".gitignore" in missing.value.hint


def test_what_the_caller_names_is_read_though_ignored(project_root: Path) -> None:
    (project_root / ".gitignore").write_text("*.log\nbuild/\n")
    (project_root / "build" / "deep").mkdir(parents=True)
    for name in ("x.log", "build/y.txt", "build/z.log", "build/deep/w.txt"):
        (project_root / name).write_text(name)
    assert list(texts(read(project_root, "x.log"))) == ["x.log"]
    assert list(texts(read(project_root, "build/y.txt"))) == ["build/y.txt"]
    assert list(texts(read(project_root, "build"))) == ["build/y.txt", "build/z.log", "build/deep/w.txt"]
    assert list(texts(read(project_root, "build/deep"))) == ["build/deep/w.txt"]


def test_gitignore_files_count_for_their_own_folder_and_below(project_root: Path) -> None:
    (project_root / ".gitignore").write_text("*.tmp\n")
    (project_root / "sub" / ".gitignore").write_text("b.txt\n!x.tmp\n")
    (project_root / "sub" / "deep").mkdir()
    for name in ("b.txt", "sub/x.tmp", "sub/deep/b.txt", "sub/deep/y.tmp", "sub/deep/c.txt"):
        (project_root / name).write_text(name)
    assert set(texts(read(project_root, "**/*.t*"))) == {"a.txt", "b.txt", "sub/x.tmp", "sub/deep/c.txt"}
    assert list(texts(read(project_root, "sub/deep"))) == ["sub/deep/c.txt"]


def test_a_gitignore_that_is_no_file_inside_is_skipped(project_root: Path, outside: Path) -> None:
    (outside / "rules").write_text("a.txt\n")
    (project_root / ".gitignore").symlink_to(outside / "rules")
    make_fifo(project_root / "sub" / ".gitignore")
    assert set(texts(read(project_root, "."))) == {"a.txt", "sub/b.txt"}


def test_an_oversized_gitignore_is_skipped(project_root: Path) -> None:
    (project_root / ".gitignore").write_text("a.txt\n" + "#" * files.MAX_IGNORE_BYTES)
    assert "a.txt" in texts(read(project_root, "*.txt"))


def test_a_malformed_glob_gets_a_hint(project_root: Path) -> None:
    with pytest.raises(InvalidArgumentsError, match="is not a glob") as malformed:
        read(project_root, "[z-a].txt")
    assert malformed.value.hint
