"""One-line subjects of diffs: from their own words, else from the changed lines."""

import pytest

from tools.summarize.diff_subjects import SUBJECT_CHARACTERS, subject
from tools.summarize.diffs import is_diff


def diff(path: str, *lines: str, old: str = "", header: str = "", within: str = "") -> str:
    files = f"--- a/{old or path}\n+++ b/{path}\n"
    hunk = f"@@ -1,3 +1,3 @@ {within}\n" + "\n".join(lines) + "\n"
    return f"diff --git a/{old or path} b/{path}\n{header}{files}{hunk}"


CASES = {
    "a changelog entry": (
        diff("CHANGES.md", "+- Fixed a crash when the cache folder is missing (#812)")
        + diff("src/cache.py", "-    folder = path", "+    folder = path or default()"),
        "Fix a crash when the cache folder is missing",
    ),
    "a news fragment": (
        diff(
            "changelog.d/77.feature.rst",
            "+Added ``Client.close()``, which ends all sessions.",
            header="new file mode 100644\n",
        ),
        "Add `Client.close()`, which ends all sessions",
    ),
    "a release": (
        diff("pkg/__init__.py", '-__version__ = "1.4.0"', '+__version__ = "1.5.0"'),
        "Bump version to 1.5.0",
    ),
    "a dependency": (
        diff("requirements.txt", "-anyio==4.3.0", "+anyio==4.4.0"),
        "Bump anyio from 4.3.0 to 4.4.0",
    ),
    "an action": (
        diff(
            ".github/workflows/ci.yml",
            "-      - uses: actions/checkout@v3",
            "+      - uses: actions/checkout@v4",
        ),
        "Bump actions/checkout from v3 to v4",
    ),
    "a new file": (
        diff("docs/usage.md", "+# Usage", header="new file mode 100644\n"),
        "Add usage.md",
    ),
    "a deleted file": (
        diff("setup.cfg", "-[metadata]", header="deleted file mode 100644\n"),
        "Remove setup.cfg",
    ),
    "a renamed file": (
        diff(
            "src/new.py", " pass", old="src/old.py", header="rename from src/old.py\nrename to src/new.py\n"
        ),
        "Rename src/old.py to src/new.py",
    ),
    "a renamed word": (
        diff("a.py", "-x = total(a)", "-y = total(b)", "+x = sum_up(a)", "+y = sum_up(b)"),
        "Rename total to sum_up",
    ),
    "a new argument": (
        diff("a.py", "+        timeout: float = 3,", within="def connect("),
        "Add timeout to connect",
    ),
    "a removed function": (diff("a.py", "-def old_way():", "-    pass"), "Remove old_way"),
    "a new test": (
        diff("tests/test_a.py", "+def test_empty_lines_are_skipped():", "+    pass"),
        "Add test for empty lines are skipped",
    ),
    "a spelling": (
        diff("README.md", "-This is teh way to go", "+This is the way to go"),
        "Fix typo in README.md",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_the_subject_of(name: str) -> None:
    text, expected = CASES[name]
    assert is_diff(text)
    assert subject(text) == expected


def test_a_long_entry_is_cut_at_a_word() -> None:
    line = subject(diff("CHANGES.md", "+- Fix " + "very " * 40 + "long lines"))
    assert len(line) <= SUBJECT_CHARACTERS
    assert line.endswith("very")


@pytest.mark.parametrize(
    "text", ["+ a list\n- of things\n", "--- a line\n", "The diff --git command prints @@ marks."]
)
def test_other_texts_are_no_diffs(text: str) -> None:
    assert not is_diff(text)
