"""The diff parser: one record a file, every hunk complete."""

from time import thread_time

import pytest

from engines.base import JsonValue
from tools.extract.formats.diff import parse

MODIFIED = """\
diff --git a/src/app.py b/src/app.py
index 7644a5a..0b4240d 100644
--- a/src/app.py
+++ b/src/app.py
@@ -1,3 +1,4 @@ def main():
 import os
-import sys
+import anyio
+import sys
 
@@ -10 +11 @@
-    run()
\\ No newline at end of file
+    anyio.run(run)
\\ No newline at end of file
"""
OTHERS = """\
diff --git a/new file.txt b/new file.txt
new file mode 100644
index 0000000..3b18e51
--- /dev/null
+++ b/new file.txt
@@ -0,0 +1 @@
+--- hello
diff --git a/old.txt b/old.txt
deleted file mode 100644
index 3b18e51..0000000
--- a/old.txt
+++ /dev/null
@@ -1,2 +0,0 @@
-one
--- two
diff --git a/a.py b/b/a.py
similarity index 100%
rename from a.py
rename to b/a.py
diff --git a/logo.png b/logo.png
index 3b18e51..4c29f62 100644
Binary files a/logo.png and b/logo.png differ
diff --git a/run.sh b/run.sh
old mode 100644
new mode 100755
diff --git "a/caf\\303\\251.txt" "b/caf\\303\\251.txt"
new file mode 100644
index 0000000..e69de29
"""


def files(text: str) -> list[dict[str, JsonValue]] | None:
    report = parse(text)
    return None if report is None else [dict(record.values) for record in report.records]


def test_counts_the_changed_lines_of_a_file() -> None:
    report = parse(MODIFIED)
    assert report is not None
    assert report.format == "diff"
    assert report.totals == {"files": 1, "added": 3, "removed": 2}
    assert [(record.first, record.last) for record in report.records] == [(1, 15)]
    assert report.records[0].values == {"file": "src/app.py", "status": "modified", "added": 3, "removed": 2}


def test_files_are_added_deleted_renamed_binary_or_change_their_mode() -> None:
    assert files(OTHERS) == [
        {"file": "new file.txt", "status": "added", "added": 1, "removed": 0},
        {"file": "old.txt", "status": "deleted", "added": 0, "removed": 2},
        {"file": "b/a.py", "status": "renamed", "old_file": "a.py", "added": 0, "removed": 0},
        {"file": "logo.png", "status": "modified"},
        {"file": "run.sh", "status": "modified", "added": 0, "removed": 0},
        {"file": "café.txt", "status": "added", "added": 0, "removed": 0},
    ]


PLAIN = "@@ -1 +1 @@\n-a\n+b\n"
ADDED = "@@ -0,0 +1 @@\n+b\n"


@pytest.mark.parametrize(
    ("text", "file", "status"),
    [
        (
            f"--- x.c.orig\t2024-01-01 10:00:00.0 +0000\n+++ x.c\t2024-01-02 10:00:00.0 +0000\n{PLAIN}",
            "x.c",
            "modified",
        ),
        (
            f"diff -ruN a/x.c b/x.c\n--- a/x.c\t1970-01-01 00:00:00.0 +0000\n+++ b/x.c\t2024-01-02\n{ADDED}",
            "x.c",
            "added",
        ),
        (
            f"Index: lib/x.c\n{'=' * 67}\n--- lib/x.c\t(revision 4)\n+++ lib/x.c\t(working copy)\n{PLAIN}",
            "lib/x.c",
            "modified",
        ),
        (
            f"diff -r 0f1e2d3c4b5a x.py\n--- a/x.py\tMon Jan 01 10:00:00 2024\n+++ b/x.py\tTue\n{PLAIN}",
            "x.py",
            "modified",
        ),
        (
            f"diff --git b/x.py b/x.py\nindex 1234567..89abcde 100644\n--- b/x.py\n+++ b/x.py\n{PLAIN}",
            "b/x.py",
            "modified",
        ),
        (
            f"diff --git i/x.py w/x.py\nindex 1234567..89abcde 100644\n--- i/x.py\n+++ w/x.py\n{PLAIN}",
            "x.py",
            "modified",
        ),
    ],
    ids=["diff -u", "diff -N", "Subversion", "Mercurial", "--no-prefix", "mnemonic prefixes"],
)
def test_notations_of_names(text: str, file: str, status: str) -> None:
    found = files(text)
    assert found is not None
    assert [(one["file"], one["status"]) for one in found] == [(file, status)]


COMMIT = (
    "commit 162cf3d985d48b4559216d0f2d10dbb753260f14\nAuthor: Ada <ada@example.com>\nDate:   Sun Nov 29\n"
    "\n    Use anyio\n"
)
STAT = " src/app.py | 5 +++--\n 1 file changed, 3 insertions(+), 2 deletions(-)\n"
MAIL = (
    "From 162cf3d985d48b4559216d0f2d10dbb753260f14 Mon Sep 17 00:00:00 2001\nFrom: Ada <ada@example.com>\n"
    f"Date: Sun, 29 Nov 2026 11:48:23 +0000\nSubject: [PATCH] Use anyio\n\nIt is simpler.\n---\n{STAT}\n"
)


@pytest.mark.parametrize(
    "text",
    [
        f"{COMMIT}\n{MODIFIED}",
        f"{COMMIT}---\n{STAT}\n{MODIFIED}",
        f"{MAIL}{MODIFIED}-- \n2.39.5\n\n",
        f"{STAT}\n{MODIFIED}",
    ],
    ids=["git show", "git log --stat -p", "git format-patch", "git diff --patch-with-stat"],
)
def test_commits_and_diffstats_may_stand_before_the_files(text: str) -> None:
    found = files(text)
    assert found == [{"file": "src/app.py", "status": "modified", "added": 3, "removed": 2}]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "I changed two lines of src/app.py.",
        STAT,
        MODIFIED.replace("-1,3 +1,4", "-1,4 +1,4"),
        MODIFIED.replace("+import sys\n", ""),
        MODIFIED.replace("@@ -10", "+one more\n@@ -10"),
        "\n".join(MODIFIED.split("\n")[:8]),
        MODIFIED + "Applied.\n",
        f"{STAT.replace('3 insertions', '4 insertions')}\n{MODIFIED}",
        "diff --cc a.py\nindex 12345,12345..12345\n--- a/a.py\n+++ b/a.py\n@@@ -1,1 -1,1 +1,1 @@@\n++a\n",
        f"On branch main\n{MODIFIED}",
        "--- a\n+++ b\n",
    ],
    ids=[
        "nothing",
        "prose",
        "a diffstat alone",
        "fewer lines than the header says",
        "a line is missing",
        "a line too many",
        "truncated",
        "text after it",
        "another sum than the diffstat says",
        "combined diff",
        "git status before it",
        "names without a hunk",
    ],
)
def test_what_is_not_wholly_a_diff_is_left(text: str) -> None:
    assert parse(text) is None


@pytest.mark.parametrize("piece", ["\n--- a", " ", "@@ -1,", '"', "a/x ", "\n a | 1 +"])
def test_time_grows_linearly(piece: str) -> None:
    def seconds(times: int) -> float:
        start = thread_time()
        parse(f"diff --git {piece * times}\n{piece * times}\n@@ -1 +1 @@\n")
        parse(f"--- a{piece * times}\n+++ a{piece * times}\n@@ -1 +1 @@{piece * times}\n")
        return thread_time() - start

    assert min(seconds(20_000) for _ in range(3)) < 10 * min(seconds(5_000) for _ in range(3)) + 0.01
