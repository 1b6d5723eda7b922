"""Globs and .gitignore lines: what they match, and that every pattern takes linear time."""

import subprocess
import time
from pathlib import Path

import pytest

from tools.sources.ignore_patterns import Ignored, glob, is_glob

HOSTILE_S = 1.0
"""Seconds of CPU; what these guard against takes hours."""


@pytest.mark.parametrize("path", ["a.txt", "a b", "a-b", "a!b", "a^b", "../a", "a}b"])
def test_a_plain_path_is_no_glob(path: str) -> None:
    assert not is_glob(path)


@pytest.mark.parametrize("path", ["*", "a?", "[a]", "{a,b}", "**/x", "[id].tsx"])
def test_a_path_with_wildcards_is_a_glob(path: str) -> None:
    assert is_glob(path)


@pytest.mark.parametrize(
    ("pattern", "matches", "others"),
    [
        ("*", ["a", "a.b", ".a"], ["a/b"]),
        ("a*c", ["ac", "abc", "abcbc"], ["ab", "a/c"]),
        ("*a*b*c", ["abc", "xaxbxc", "aabbcc"], ["acb", "ab/c"]),
        ("**", ["a", "a/b/c"], [""]),
        ("**/b", ["b", "a/b", "a/a/b"], ["ab", "b/a"]),
        ("a/**", ["a/b", "a/b/c"], ["a", "ab"]),
        ("a/**/c", ["a/c", "a/b/c", "a/b/b/c"], ["ac", "a/bc"]),
        ("**/a/**/b/c", ["a/b/c", "x/a/y/b/b/c", "a/a/b/c"], ["b/a/c"]),
        ("a**b", ["ab", "axb"], ["a/b"]),
        ("?", ["a", "ä"], ["", "ab", "/"]),
        ("[ab]c", ["ac", "bc"], ["cc", "c"]),
        ("[!ab]c", ["cc"], ["ac", "/c"]),
        ("[^ab]c", ["cc"], ["ac"]),
        ("[a-c]", ["b"], ["d", "-"]),
        ("[]]", ["]"], ["["]),
        ("[[a]", ["[", "a"], ["]"]),
        ("[a&&b||c~~d]", ["&", "|", "~", "a"], ["e"]),
        ("[\\]", ["\\"], ["a"]),
        ("[", ["["], ["a"]),
        ("\\*", ["*"], ["a"]),
        ("{a,b}/c", ["a/c", "b/c"], ["c/c"]),
        ("{a,{b,c}d}", ["a", "bd", "cd"], ["ad"]),
        ("{a,}b", ["ab", "b"], ["cb"]),
        ("{a}", ["{a}"], ["a"]),
        ("a.b+c(d)|e$", ["a.b+c(d)|e$"], ["aXb+c(d)|e$"]),
        ("*\n", ["a\n"], ["a"]),
    ],
)
def test_a_glob_matches(pattern: str, matches: list[str], others: list[str]) -> None:
    compiled = glob(pattern)
    assert [name for name in matches if not compiled.match(name)] == []
    assert [name for name in others if compiled.match(name)] == []


def test_braces_have_a_limit() -> None:
    with pytest.raises(ValueError, match="more than 256"):
        glob("{a,b}" * 40)


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("*a" * 40 + "*b", "a" * 255),
        ("**/a/" * 40 + "b", "a/" * 1000 + "c"),
        ("**/*a*a*a*a*b/" * 10 + "x", ("a" * 50 + "/") * 60),
        ("{*a,*b}" * 7 + "c", "ab" * 120),
        ("?*" * 100 + "!", "x" * 255),
    ],
)
def test_a_hostile_pattern_is_no_slower(pattern: str, name: str) -> None:
    begun = time.process_time()
    assert not glob(pattern).match(name)
    assert not Ignored().below(Path("/root"), pattern)("/root/" + name, is_folder=False)
    assert time.process_time() - begun < HOSTILE_S


TREE = [
    "a.log", "keep.log", "build/x.txt", "src/build/y.txt", "src/a.log", "src/doc/z.txt", "doc/z.txt", "x y",
    "#hash", "!bang", "trailing ", "deep/a/b/c/d.txt", "deep/c/d.txt", "foo/bar", "sub/foo/bar",
]  # fmt: skip


@pytest.mark.parametrize(
    "lines",
    [
        ["*.log", "!keep.log"],
        ["!keep.log", "*.log"],
        ["build/"],
        ["/build"],
        ["build"],
        ["doc/z.txt"],
        ["/doc/"],
        ["**/doc"],
        ["deep/**/d.txt"],
        ["deep/**"],
        ["deep/**", "!deep/c/"],
        ["foo/*", "!foo/bar"],
        ["**/foo/bar"],
        ["# a comment", "", "x y"],
        ["\\#hash", "\\!bang"],
        ["trailing "],
        ["trailing\\ "],
        ["*", "!*.log", "!*/"],
        ["[a-k]*.log"],
        ["[!a]*.log"],
        ["[z-a]", "*.log"],
        ["src", "!src/a.log"],
        ["/*", "!/src"],
        ["a.log\r"],
    ],
    ids=" ".join,
)
def test_a_gitignore_is_read_as_git_reads_it(lines: list[str], tmp_path: Path) -> None:
    for name in TREE:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    (tmp_path / ".gitignore").write_bytes("\n".join([*lines, ".gitignore"]).encode())
    git(tmp_path, "init", "-q")
    listed = git(tmp_path, "ls-files", "-z", "--others", "--exclude-standard")
    assert kept(tmp_path, Ignored()) == sorted(name for name in listed.split("\0") if name)


def git(folder: Path, *arguments: str) -> str:
    # Without the user's own excludes.
    command = ["git", "-c", "core.excludesFile=", *arguments]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True, timeout=30).stdout


def kept(folder: Path, ignored: Ignored, prefix: str = "") -> list[str]:
    """Returns what a walk visits: nothing below an ignored folder."""
    file = folder / ".gitignore"
    ignored = ignored.below(folder, file.read_bytes().decode()) if file.exists() else ignored
    names: list[str] = []
    for entry in folder.iterdir():
        if entry.name == ".git" or ignored(str(entry), is_folder=entry.is_dir()):
            continue
        shown = prefix + entry.name
        names += kept(entry, ignored, f"{shown}/") if entry.is_dir() else [shown]
    return sorted(names)
