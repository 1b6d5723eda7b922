"""Nothing outside of the project is read, whatever is asked for and however it is hidden."""

import os
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from engines.errors import AgentError, InvalidArgumentsError
from tools.base import Project
from tools.sources import files
from tools.sources.documents import Sources, load
from tools.sources.files import SourceNotFoundError, SourceRefusedError, SourceUnusableError

CANARY = "canary-5f3a1c"

pytestmark = pytest.mark.usefixtures("house")


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a few files, and beside it what must never be read, in the home folder too."""
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
def outside(house: Path) -> Path:
    return house.parent / "outside"


def read(root: Path | None, *paths: str, split: str = "file", folders: tuple[Path, ...] = ()) -> Sources:
    return load(Project("test", root, folders), paths=paths, split=split)


def texts(sources: Sources) -> dict[str, str]:
    return {document.id: document.text for document in sources.documents}


def attempt(root: Path, *paths: str) -> str:
    """Everything a caller would see of reading ``paths``."""
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
    says: str = "path_refused"
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
    Escape("glob with the parent after a star", "*/../../outside/canary.txt", says="path_not_found"),
    Escape("parent in brackets", "[.][.]/outside/canary.txt", says="path_not_found"),
    Escape("parent in braces", "{{..,sub}}/outside/canary.txt", says="path_not_found"),
    Escape("absolute glob", "{outside}/*.txt"),
    Escape("absolute glob of everything", "/**"),
    Escape("glob at home", "~/*.txt"),
    Escape("Windows separators", "..\\outside\\canary.txt", says="path_not_found"),
    Escape("Windows drive", "C:\\canary.txt", says="path_not_found"),
    Escape("URL", "file://{outside}/canary.txt", says="path_not_found"),
    Escape("percent encoding", "%2e%2e/outside/canary.txt", says="path_not_found"),
    Escape("wide dots", "\uff0e\uff0e/outside/canary.txt", says="path_not_found"),
    Escape("two-dot leader", "\u2025/outside/canary.txt", says="path_not_found"),
    Escape("variable", "$HOME/canary.txt", says="path_not_found"),
    Escape("NUL", "a.txt\0/../../outside/canary.txt", says="invalid_arguments"),
    Escape("NUL alone", "\0", says="invalid_arguments"),
    Escape("nothing", "", says="invalid_arguments"),
    Escape("blank", "  ", says="invalid_arguments"),
    Escape("newline", "a.txt\n../outside/canary.txt", says="path_not_found"),
    Escape("half a character", "\ud800", says="invalid_arguments"),
    Escape("too long a name", "a" * 5_000, says="source_unusable"),
    Escape("too long a path", "a/" * 5_000, says="source_unusable"),
    Escape("too long a glob", "?" * 5_000 + "*/" * 500, says="path_not_found"),
    Escape("too many braces", "{{a,b}}" * 20, says="invalid_arguments"),
    Escape("not there", "nowhere.txt", says="path_not_found"),
    Escape("below a file", "a.txt/b", says="path_not_found"),
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
def test_nothing_outside_is_read(escape: Escape, house: Path, outside: Path) -> None:
    (house.parent / "root2").mkdir()
    (house.parent / "root2" / "canary.txt").write_text(CANARY)
    escape.make(house, outside)
    seen = attempt(house, escape.path.format(root=house, outside=outside))
    assert escape.says in seen
    assert CANARY not in seen


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_is_not_read_by_its_name(name: str, house: Path, outside: Path) -> None:
    secret(name)(house, outside)
    seen = attempt(house, name)
    assert "path_refused" in seen
    assert "usually holds secrets" in seen
    assert CANARY not in seen


@pytest.mark.parametrize("path", [".", "*", "**/*", "**/.*", ".*/*", "{root}/**"])
@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_is_not_read_by_what_is_around_it(name: str, path: str, house: Path, outside: Path) -> None:
    secret(name)(house, outside)
    assert CANARY not in attempt(house, path.format(root=house))


@pytest.mark.parametrize("name", [".env", ".ssh/config"])
def test_a_secret_is_not_read_through_a_link(name: str, house: Path, outside: Path) -> None:
    secret(name)(house, outside)
    (house / "innocent.txt").symlink_to(house / name)
    assert "path_refused" in attempt(house, "innocent.txt")


@pytest.mark.parametrize(
    "name", [".env.example", "id_rsa.pub", "secrets.yaml.template", "environment.py", "keys.md"]
)
def test_what_only_looks_like_a_secret_is_read(name: str, house: Path) -> None:
    (house / name).write_text("harmless")
    assert texts(read(house, name)) == {name: "harmless"}


def test_a_root_inside_a_folder_with_a_secret_name_is_read(tmp_path: Path) -> None:
    root = tmp_path / "secrets" / ".docker"
    root.mkdir(parents=True)
    (root / "notes.txt").write_text("fine")
    assert texts(read(root, ".")) == {"notes.txt": "fine"}


def test_without_a_root_nothing_is_read() -> None:
    with pytest.raises(SourceRefusedError, match="may read no files") as refused:
        read(None, "a.txt")
    assert "[projects.NAME]" in refused.value.hint


def test_folders_the_operator_allows_are_read(house: Path, outside: Path) -> None:
    sources = read(house, "a.txt", str(outside / "folder"), folders=(outside / "folder",))
    assert texts(sources) == {"a.txt": "inside a\n", str(outside / "folder" / "canary.txt"): f"{CANARY}\n"}
    with pytest.raises(SourceRefusedError):
        read(house, str(outside / "canary.txt"), folders=(outside / "folder",))


def test_a_root_that_is_a_link_is_what_it_leads_to(house: Path, tmp_path: Path) -> None:
    (tmp_path / "alias").symlink_to(house)
    assert texts(read(tmp_path / "alias", "a.txt", str(tmp_path / "alias" / "sub"))) == {
        "a.txt": "inside a\n",
        "sub/b.txt": "inside b\n",
    }


def test_a_linked_folder_in_a_folder_is_passed_over_without_a_word(house: Path) -> None:
    (house / "link").symlink_to("sub")
    sources = read(house, ".")
    assert list(texts(sources)) == ["a.txt", "sub/b.txt"]
    assert sources.notes == ()


def test_a_link_that_stays_inside_is_followed(house: Path) -> None:
    (house / "link").symlink_to("sub/b.txt")
    assert texts(read(house, "link")) == {"sub/b.txt": "inside b\n"}


@pytest.mark.parametrize("path", ["sub/", "sub//", "./sub", "sub/.", "{root}/sub/"])
def test_a_folder_may_be_written_in_many_ways(path: str, house: Path) -> None:
    assert texts(read(house, path.format(root=house))) == {"sub/b.txt": "inside b\n"}


def test_a_name_with_brackets_is_a_file_before_it_is_a_glob(house: Path) -> None:
    (house / "[id].tsx").write_text("page")
    (house / "i.tsx").write_text("other")
    assert texts(read(house, "[id].tsx")) == {"[id].tsx": "page"}
    (house / "[id].tsx").write_bytes(b"\0")
    with pytest.raises(SourceUnusableError, match="binary"):
        read(house, "[id].tsx")


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
def test_globs(pattern: str, names: list[str], house: Path) -> None:
    (house / "sub" / "deep").mkdir()
    (house / "sub" / "deep" / "c.txt").write_text("inside c\n")
    assert list(texts(read(house, pattern.replace("{root}", str(house))))) == names


def test_a_file_comes_once_however_often_it_is_named(house: Path) -> None:
    assert list(texts(read(house, "*.txt", "a.txt", "./a.txt", str(house / "a.txt"), "."))) == [
        "a.txt",
        "sub/b.txt",
    ]


# Special files


def test_a_pipe_does_not_make_us_wait(house: Path) -> None:
    os.mkfifo(house / "pipe")
    with pytest.raises(SourceRefusedError, match="not a regular file"):
        read(house, "pipe")
    assert list(texts(read(house, "*"))) == ["a.txt"]


def test_a_socket_is_not_read(house: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(house)  # socket names must be short
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("door")
        with pytest.raises(SourceUnusableError, match="door cannot be read"):
            read(house, "door")


def test_an_unreadable_file_is_named(house: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # By injection: tests may run as root, who may read everything.
    def denied(path: Path, flags: int) -> int:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(files.os, "open", denied)
    with pytest.raises(SourceUnusableError, match=r"a\.txt cannot be read: Permission denied"):
        read(house, "a.txt")
    with pytest.raises(SourceUnusableError, match="nothing to read") as nothing:
        read(house, "*.txt")
    assert "skipped: a.txt cannot be read" in nothing.value.hint


def test_a_folder_that_may_not_be_listed_is_passed_over(house: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = os.scandir

    def scandir(path: Path) -> object:
        if path.name == "sub":
            raise PermissionError(13, "Permission denied", str(path))
        return listed(path)

    monkeypatch.setattr(files.os, "scandir", scandir)
    assert list(texts(read(house, "."))) == ["a.txt"]


def test_a_huge_file_is_refused(house: Path) -> None:
    with open(house / "sparse.log", "wb") as sparse:
        sparse.truncate(2**40)
    with pytest.raises(SourceUnusableError, match=r"sparse\.log is too large \(one file: 16 MiB"):
        read(house, "sparse.log")


def test_all_files_of_a_call_together_have_a_limit(house: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_TOTAL_BYTES", 15)
    assert read(house, "a.txt").documents
    with pytest.raises(SourceUnusableError, match=r"sub/b\.txt is too large"):
        read(house, "a.txt", "sub/b.txt")


def test_a_folder_with_too_many_entries_is_refused(house: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_VISITED", 20)
    for number in range(30):
        (house / "sub" / f"{number}.log").write_text("x")
    for path in ("sub", "**/*.txt", "sub/*.none"):
        with pytest.raises(SourceUnusableError, match="more than 20 entries"):
            read(house, path)
    assert list(texts(read(house, "*.txt"))) == ["a.txt"], "a glob of one level looks at one level"


def test_entries_are_counted_over_the_whole_call(house: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_VISITED", 20)
    with pytest.raises(SourceUnusableError, match="more than 20 entries"):
        read(house, *["*.txt"] * 15)


def test_too_many_files_are_refused(house: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_FILES", 1)
    with pytest.raises(SourceUnusableError, match="more than 1 files match"):
        read(house, ".")


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
def test_a_name_is_shown_on_one_line_of_text(name: bytes, shown: str, house: Path) -> None:
    (house / "sub" / os.fsdecode(name)).write_text("text")
    (house / "sub" / "b.txt").unlink()
    for path in ("sub", "sub/*", os.fsdecode(b"sub/" + name)):
        assert list(texts(read(house, path))) == [f"sub/{shown}"]
    assert f"sub/{shown}x does not exist" in attempt(house, os.fsdecode(b"sub/" + name + b"x"))


def test_a_name_is_taken_in_the_form_it_is_written(house: Path) -> None:
    (house / "cafe\u0301.txt").write_text("decomposed")
    assert texts(read(house, "cafe\u0301.txt")) == {"cafe\u0301.txt": "decomposed"}
    with pytest.raises(SourceNotFoundError):
        read(house, "caf\u00e9.txt")


# Races: the path is swapped between the check and the opening


def swap_before_open(monkeypatch: pytest.MonkeyPatch, swap: Callable[[], None]) -> None:
    opened = os.open

    def swapped(path: Path, flags: int) -> int:
        if Path(path).name == "a.txt":
            swap()
        return opened(path, flags)

    monkeypatch.setattr(files.os, "open", swapped)


def test_a_file_swapped_for_a_link_is_not_read(
    house: Path, outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def swap() -> None:
        (house / "a.txt").unlink()
        (house / "a.txt").symlink_to(outside / "canary.txt")

    swap_before_open(monkeypatch, swap)
    seen = attempt(house, "a.txt")
    assert "source_unusable" in seen
    assert CANARY not in seen


def test_a_folder_swapped_for_a_link_is_not_read(
    house: Path, outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (house / "sub" / "a.txt").write_text("inside")
    (outside / "a.txt").write_text(CANARY)

    def swap() -> None:
        (house / "sub").rename(house / "aside")
        (house / "sub").symlink_to(outside)

    swap_before_open(monkeypatch, swap)
    seen = attempt(house, "sub/a.txt")
    assert "path_refused" in seen
    assert CANARY not in seen


def test_a_folder_swapped_there_and_back_is_not_read(
    house: Path, outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (house / "sub" / "a.txt").write_text("inside")
    (outside / "a.txt").write_text(CANARY)

    def swap() -> None:
        (house / "sub").rename(house / "aside")
        (house / "sub").symlink_to(outside)

    swap_before_open(monkeypatch, swap)
    status = os.fstat

    def back(descriptor: int) -> os.stat_result:
        (house / "sub").unlink()
        (house / "aside").rename(house / "sub")
        return status(descriptor)

    # pytest itself asks for descriptors, so no longer than needed.
    with monkeypatch.context() as patched:
        patched.setattr(files.os, "fstat", back)
        seen = attempt(house, "sub/a.txt")
    assert "changed while it was opened" in seen
    assert CANARY not in seen


def test_a_file_swapped_for_a_pipe_does_not_make_us_wait(
    house: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def swap() -> None:
        (house / "a.txt").unlink()
        os.mkfifo(house / "a.txt")

    swap_before_open(monkeypatch, swap)
    assert "not a regular file" in attempt(house, "a.txt")


def test_a_file_that_vanishes_is_named(house: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    swap_before_open(monkeypatch, (house / "a.txt").unlink)
    with pytest.raises(SourceUnusableError, match=r"a\.txt cannot be read: No such file"):
        read(house, "a.txt")


# .gitignore


def test_folders_and_globs_leave_out_what_gitignore_does(house: Path) -> None:
    (house / ".gitignore").write_text("*.log\nbuild/\n!keep.log\n")
    (house / "build").mkdir()
    for name in ("x.log", "keep.log", "sub/y.log", "build/z.txt"):
        (house / name).write_text(name)
    assert list(texts(read(house, "."))) == [".gitignore", "a.txt", "keep.log", "sub/b.txt"]
    assert list(texts(read(house, "**/*.log"))) == ["keep.log"]
    with pytest.raises(SourceNotFoundError, match="no file matches") as missing:
        read(house, "sub/*.log")
    assert ".gitignore" in missing.value.hint


def test_what_the_caller_names_is_read_though_ignored(house: Path) -> None:
    (house / ".gitignore").write_text("*.log\nbuild/\n")
    (house / "build" / "deep").mkdir(parents=True)
    for name in ("x.log", "build/y.txt", "build/z.log", "build/deep/w.txt"):
        (house / name).write_text(name)
    assert list(texts(read(house, "x.log"))) == ["x.log"]
    assert list(texts(read(house, "build/y.txt"))) == ["build/y.txt"]
    assert list(texts(read(house, "build"))) == ["build/y.txt", "build/z.log", "build/deep/w.txt"]
    assert list(texts(read(house, "build/deep"))) == ["build/deep/w.txt"]


def test_gitignore_files_count_for_their_own_folder_and_below(house: Path) -> None:
    (house / ".gitignore").write_text("*.tmp\n")
    (house / "sub" / ".gitignore").write_text("b.txt\n!x.tmp\n")
    (house / "sub" / "deep").mkdir()
    for name in ("b.txt", "sub/x.tmp", "sub/deep/b.txt", "sub/deep/y.tmp", "sub/deep/c.txt"):
        (house / name).write_text(name)
    assert set(texts(read(house, "**/*.t*"))) == {"a.txt", "b.txt", "sub/x.tmp", "sub/deep/c.txt"}
    assert list(texts(read(house, "sub/deep"))) == ["sub/deep/c.txt"]


def test_a_gitignore_that_is_no_file_inside_is_passed_over(house: Path, outside: Path) -> None:
    (outside / "rules").write_text("a.txt\n")
    (house / ".gitignore").symlink_to(outside / "rules")
    os.mkfifo(house / "sub" / ".gitignore")
    assert set(texts(read(house, "."))) == {"a.txt", "sub/b.txt"}


def test_a_gitignore_too_large_to_be_honest_is_passed_over(house: Path) -> None:
    (house / ".gitignore").write_text("a.txt\n" + "#" * files.MAX_IGNORE_BYTES)
    assert "a.txt" in texts(read(house, "*.txt"))


def test_a_malformed_glob_says_what_to_use(house: Path) -> None:
    with pytest.raises(InvalidArgumentsError, match="is not a glob") as malformed:
        read(house, "[z-a].txt")
    assert malformed.value.hint
