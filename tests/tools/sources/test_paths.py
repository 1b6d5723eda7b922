"""The rules of file names and paths of Windows, macOS and WSL, tested on any system."""

import os
from pathlib import Path, PurePosixPath, PureWindowsPath

import pytest

from engines import system
from tests.tools.sources.test_files import attempt
from tools.base import Project
from tools.sources import paths
from tools.sources.files import Files

ROOT = PureWindowsPath(r"C:\Users\me\shop")


@pytest.mark.parametrize(
    "path",
    ["CON", "nul", "Aux.txt", "com1", "COM9.log", "lpt1.tar.gz", "COM¹", "prn ", "nul .txt", "src/nul",
     r"a\CON\b", "conin$", "CONOUT$", r"C:\work\NUL", r"\\?\C:\work\aux", "com1:", "CON:x", ".env::$DATA",
     "a.txt:hidden",
     r"C:\work\.env:$DATA", r"\\.\PhysicalDrive0", r"\\.\pipe\x", "//./COM1", r"\\?\GLOBALROOT\Device\x",
     r"\\?\Volume{1}\x", "//?/C:/x"],
)  # fmt: skip
def test_devices_and_streams_are_no_files(path: str) -> None:
    assert paths.refusal(path)


@pytest.mark.parametrize(
    "path",
    ["console.log", "nullable.py", "com10", "com", "auxiliary/con_text.md", "lpt.txt", r"C:\work\a.txt",
     "c:/work/a.txt", r"\\server\share\a", r"\\?\C:\work\a", r"\\?\UNC\server\share\a", "src/*.py",
     "C:relative.txt", "a", "a.con"],
)  # fmt: skip
def test_ordinary_names_are_files(path: str) -> None:
    assert paths.refusal(path) == ""


@pytest.mark.parametrize(
    ("path", "share"),
    [
        (r"\\Server\Share\a\b", r"\\server\share"),
        ("//server/share", r"\\server\share"),
        (r"\\server", "\\\\server\\"),
        (r"\\?\UNC\server\share\a", r"\\server\share"),
        (r"C:\work", ""),
        (r"\\?\C:\work", ""),
        (r"\work", ""),
        ("src/a", ""),
    ],
)
def test_a_network_share_is_recognized_in_any_form(path: str, share: str) -> None:
    assert paths.share(path) == share


def test_long_paths_have_their_own_form_and_back() -> None:
    long = "C:\\" + "\\".join(["deep" * 10] * 10)
    assert paths.extended(long) == "\\\\?\\" + long
    assert paths.extended("\\\\server\\share\\" + "x" * 300).startswith("\\\\?\\UNC\\server\\share\\x")
    assert paths.extended(r"C:\short") == r"C:\short"
    for path in (long, "\\\\server\\share\\" + "x" * 300, r"C:\short"):
        assert paths.short(paths.extended(path)) == path
        assert paths.extended(paths.extended(path)) == paths.extended(path)


def folded(one: PureWindowsPath | PurePosixPath, other: PureWindowsPath | PurePosixPath) -> bool:
    """Compares as a file system does that ignores case."""
    return str(one).casefold() == str(other).casefold()


def exact(one: PureWindowsPath, other: PureWindowsPath) -> bool:
    """Compares as a folder does that distinguishes case."""
    return str(one) == str(other)


@pytest.mark.parametrize(
    "path", [r"C:\Users\me\shop\src\a.txt", r"c:\Users\me\shop\src\a.txt", r"C:\USERS\ME\Shop\src\a.txt"]
)
def test_drive_letters_and_folders_in_either_case_are_inside(path: str) -> None:
    assert str(paths.within(PureWindowsPath(path), [ROOT], folded)) == r"C:\Users\me\shop\src\a.txt"


@pytest.mark.parametrize(
    "path",
    [
        r"C:\Users\me\shop2\a.txt",
        r"C:\Users\me",
        r"D:\Users\me\shop\a.txt",
        r"\\server\Users\me\shop\a",
        "C:\\",
    ],
)
def test_neighbours_and_other_drives_are_outside(path: str) -> None:
    assert paths.within(PureWindowsPath(path), [ROOT], folded) is None


def test_a_folder_that_distinguishes_case_is_not_taken_for_its_neighbour() -> None:
    assert PureWindowsPath(r"C:\Users\me\SHOP") == ROOT  # as pathlib compares
    assert paths.within(PureWindowsPath(r"C:\Users\me\SHOP\a.txt"), [ROOT], exact) is None


def test_a_network_share_contains_its_files() -> None:
    share = PureWindowsPath(r"\\server\share")
    assert paths.within(PureWindowsPath(r"\\SERVER\share\a.txt"), [share], folded) == share / "a.txt"


def test_macos_finds_the_project_in_another_case() -> None:
    root = PurePosixPath("/Users/me/Shop")
    assert paths.within(PurePosixPath("/users/me/shop/A.txt"), [root], folded) == root / "A.txt"


def test_a_folder_reached_by_another_name_is_inside_by_what_it_is(tmp_path: Path) -> None:
    root, alias = tmp_path / "root", tmp_path / "alias"
    root.mkdir()
    (root / "a.txt").write_text("a")
    alias.symlink_to(root)
    assert paths.within(alias / "a.txt", [root], system.same) == root / "a.txt"
    assert paths.within(tmp_path / "gone" / "a.txt", [root], system.same) is None


@pytest.mark.parametrize(
    ("uri", "posix", "windows"),
    [
        ("file:///c%3A/Users/me/my%20app", "/c:/Users/me/my app", r"c:\Users\me\my app"),
        ("file:///C:/work", "/C:/work", r"C:\work"),
        ("FILE:///C|/work", "/C|/work", r"C:\work"),
        ("file:///d%3A", "/d:", "d:\\"),
        ("file://server/share/a", "", r"\\server\share\a"),
        ("file://wsl.localhost/Ubuntu/home/me", "", r"\\wsl.localhost\Ubuntu\home\me"),
        ("file://localhost/home/me", "/home/me", ""),
        ("file:///home/me", "/home/me", ""),
        ("https://example.org/c%3A/x", "", ""),
        ("untitled:x", "", ""),
        ("file:", "", ""),
        ("file://", "", ""),
    ],
)
def test_a_file_uri_is_a_path_of_the_system(uri: str, posix: str, windows: str) -> None:
    assert paths.of_uri(uri, windows=False) == posix
    assert paths.of_uri(uri, windows=True) == windows


@pytest.mark.parametrize(
    ("path", "inside"),
    [
        (r"C:\Users\me\a.txt", "/mnt/c/Users/me/a.txt"),
        ("d:/work/*.log", "/mnt/d/work/*.log"),
        (r"\\wsl.localhost\Ubuntu\home\me\a.txt", "/home/me/a.txt"),
        (r"\\wsl$\Debian\srv", "/srv"),
        ("//wsl.localhost/Ubuntu", "/"),
        ("src/a.txt", "src/a.txt"),
        ("/home/me", "/home/me"),
        (r"\\server\share\a", r"\\server\share\a"),
        ("C:relative", "C:relative"),
    ],
)
def test_a_windows_path_is_found_inside_wsl(path: str, inside: str) -> None:
    assert paths.in_wsl(path) == inside


@pytest.mark.parametrize("path", ["NUL", "a.txt:stream", r"\\evil\share\x", "//evil/share/*.txt", r"\\evil"])
def test_windows_is_not_asked_about_such_names(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.txt").write_text("a")
    files = Files(Project("test", tmp_path))
    monkeypatch.setattr(system, "WINDOWS", True)

    def asked(path: object) -> str:
        raise AssertionError(f"{path} was looked up")

    monkeypatch.setattr(os.path, "realpath", asked)
    with pytest.raises(Exception, match=r"path_refused|is not read"):
        files.find([path])


def test_backslashes_separate_the_folders_of_a_glob_on_windows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.txt").write_text("inside a")
    monkeypatch.setattr(system, "WINDOWS", True)
    assert "inside a" in attempt(tmp_path, r"sub\*.txt")
    assert "inside a" in attempt(tmp_path, r"**\a.txt")


def test_in_wsl_a_path_of_windows_is_looked_up_where_linux_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.txt").write_text("inside a")
    monkeypatch.setattr(system, "IN_WSL", True)
    given = "\\\\wsl.localhost\\Ubuntu" + str(tmp_path / "a.txt").replace("/", "\\")
    assert "inside a" in attempt(tmp_path, given)
    assert "path_refused" in attempt(tmp_path, r"C:\Windows\win.ini")
