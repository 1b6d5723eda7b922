"""Whatever the file system answers, a named file gives a typed error and any other is skipped with a note."""

import errno
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from engines.errors import AgentError
from tests.posix import make_fifo, make_socket
from tools.base import Project
from tools.sources import files
from tools.sources.documents import Sources, load
from tools.sources.files import SourceNotFoundError

Make = Callable[[Path], object]

PATHS = [".", "*", "**/*", "folder", "folder/*", "f*/*", "odd", "folder/odd", "o*", "odd/x", "odd/*"]
FAULTS = [errno.ELOOP, errno.ENAMETOOLONG, errno.EACCES, errno.EPERM, errno.EIO, errno.ENOENT, errno.ENOTDIR,
          errno.ENODEV, errno.ENXIO, errno.ESTALE, errno.EMFILE, errno.ETIMEDOUT]  # fmt: skip


ODD: dict[str, Make] = {
    "link to itself": lambda path: path.symlink_to(path.name),
    "link to a loop": lambda path: (
        path.symlink_to("other"), (path.parent / "other").symlink_to(path.name)),
    "link to nothing": lambda path: path.symlink_to("nothing"),
    "link to a name that is too long": lambda path: path.symlink_to("n" * 300),
    "link through a file": lambda path: path.symlink_to("a.txt/x"),
    "FIFO": make_fifo,
    "link to a FIFO": lambda path: (make_fifo(path.parent / "fifo"), path.symlink_to("fifo")),
    "socket": make_socket,
    "link to a device": lambda path: path.symlink_to("/dev/zero"),
}  # fmt: skip


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "folder").mkdir()
    (tmp_path / "a.txt").write_text("first")
    (tmp_path / "folder" / "a.txt").write_text("second")
    return tmp_path


def read(root: Path, *paths: str) -> Sources:
    return load(Project("test", root), paths=paths)


def told(root: Path, path: str) -> str:
    """Returns all that a caller would see; any error but a typed one fails the test."""
    try:
        sources = read(root, path)
    except AgentError as error:
        return f"{error.kind} {error.message} {error.hint}"
    return " ".join([*(document.text for document in sources.documents), *sources.notes])


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("make", ODD.values(), ids=ODD)
def test_an_odd_entry_is_named_or_skipped_with_a_note(make: Make, path: str, root: Path) -> None:
    for folder in (root, root / "folder"):
        make(folder / "odd")
    said = told(root, path)
    assert "odd" in said or "fifo is not a regular file" in said
    assert not said.startswith("internal")


@pytest.mark.parametrize("function", ["open", "scandir", "stat", "fstat"])
@pytest.mark.parametrize("fault", FAULTS, ids=errno.errorcode.__getitem__)
def test_every_fault_of_the_file_system_is_named(
    function: str, fault: int, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    working: Callable[..., object] = getattr(os, function)

    def failing(what: object, *arguments: object) -> object:
        if isinstance(what, str | Path) and not str(what).startswith(str(root / "folder")):
            return working(what, *arguments)
        raise OSError(fault, os.strerror(fault))

    for path in ("folder", "folder/*", "folder/a.txt", "."):
        with monkeypatch.context() as patched:
            patched.setattr(files.os, function, failing)
            said = told(root, path)
        expected = ("first", "second", os.strerror(fault), "changed while", "does not exist")
        assert any(words in said for words in expected)


@pytest.mark.skipif(sys.platform != "linux", reason="a file that opens and cannot be read")
def test_a_file_that_opens_and_cannot_be_read_is_named() -> None:
    with pytest.raises(AgentError, match="mem cannot be read: Input/output error"):
        load(Project("test", None, (Path("/proc/self"),)), paths=["/proc/self/mem"])


def test_a_device_is_not_read() -> None:
    with pytest.raises(AgentError, match="zero is not a regular file"):
        load(Project("test", None, (Path("/dev"),)), paths=["/dev/zero"])


def test_a_root_that_is_a_link_to_itself_is_named(tmp_path: Path) -> None:
    (tmp_path / "root").symlink_to("root")
    with pytest.raises(AgentError) as refused:
        load(Project("test", tmp_path / "root"), paths=["a.txt"])
    assert refused.value.kind == "caller"


def vanishing(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Removes ``folder`` between the listing of ``root`` and its own."""
    listed = os.scandir

    def scandir(path: Path) -> object:
        if path == root / "folder":
            (path / "a.txt").unlink()
            path.rmdir()
        return listed(path)

    monkeypatch.setattr(files.os, "scandir", scandir)


def test_a_folder_removed_while_walking_is_told(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vanishing(root, monkeypatch)
    sources = read(root, ".")
    assert [document.text for document in sources.documents] == ["first"]
    assert sources.notes == ("skipped: folder cannot be read: No such file or directory",)


def test_a_folder_removed_while_walking_is_told_where_nothing_is_left(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vanishing(root, monkeypatch)
    with pytest.raises(SourceNotFoundError) as missing:
        read(root, "folder/*.txt")
    assert "folder cannot be read: No such file" in missing.value.hint


def test_a_file_that_vanishes_after_the_listing_is_told(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = os.open

    def vanished(path: str, flags: int) -> int:
        if Path(path) == root / "folder" / "a.txt":
            Path(path).unlink()
        return opened(path, flags)

    monkeypatch.setattr(files.os, "open", vanished)
    assert read(root, ".").notes == ("skipped: folder/a.txt cannot be read: No such file or directory",)


def test_a_file_that_became_a_folder_is_told_and_leaves_nothing_open(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = os.open

    def replaced(path: str, flags: int) -> int:
        if Path(path) == root / "a.txt":
            Path(path).unlink()
            Path(path).mkdir()
        return opened(path, flags)

    monkeypatch.setattr(files.os, "open", replaced)
    before = len(list(Path("/dev/fd").iterdir()))
    assert read(root, ".").notes == ("skipped: a.txt cannot be read: Is a directory",)
    assert len(list(Path("/dev/fd").iterdir())) == before


def test_rules_of_gitignore_that_cannot_be_read_are_told(root: Path) -> None:
    (root / ".gitignore").symlink_to(".gitignore")
    notes = read(root, "*.txt", "folder").notes
    assert notes == ("skipped: .gitignore cannot be read: Too many levels of symbolic links",)
