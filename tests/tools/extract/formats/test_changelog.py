"""The changelog parser: one record a release, in the notations of many projects."""

from time import thread_time

import pytest

from engines.base import JsonValue
from tools.extract.formats.changelog import parse

KEEP_A_CHANGELOG = """\
# Changelog

All notable changes to this project will be documented in this file.

## [Unreleased]

## [1.2.0] - 2024-03-01

### Added

- Dark mode (#88, thanks to @kim), which
  follows the system.
- Export:
  - as CSV
  - as JSON

### Fixed

- Crash on start, see GH-91 and [#92](https://github.com/a/b/pull/92).

## [1.1.0-rc.1] - 2024-01-15 [YANKED]

First release.

[Unreleased]: https://github.com/a/b/compare/v1.2.0...HEAD
[1.2.0]: https://github.com/a/b/compare/v1.1.0...v1.2.0
"""


def releases(text: str) -> list[dict[str, JsonValue]] | None:
    report = parse(text)
    return None if report is None else [dict(record.values) for record in report.records]


def test_keep_a_changelog() -> None:
    report = parse(KEEP_A_CHANGELOG)
    assert report is not None
    assert report.format == "changelog"
    assert [(record.first, record.last) for record in report.records] == [(5, 5), (7, 19), (21, 23)]
    assert [record.values for record in report.records] == [
        {"version": "Unreleased", "references": [], "changes": []},
        {
            "version": "1.2.0",
            "date": "2024-03-01",
            "references": [88, 91, 92],
            "changes": [
                "Dark mode (#88, thanks to @kim), which follows the system.",
                "Export: - as CSV - as JSON",
                "Crash on start, see GH-91 and [#92](https://github.com/a/b/pull/92).",
            ],
            "added": [
                "Dark mode (#88, thanks to @kim), which follows the system.",
                "Export: - as CSV - as JSON",
            ],
            "fixed": ["Crash on start, see GH-91 and [#92](https://github.com/a/b/pull/92)."],
        },
        {"version": "1.1.0-rc.1", "date": "2024-01-15", "references": [], "changes": ["First release."]},
    ]


@pytest.mark.parametrize(
    ("heading", "version", "date"),
    [
        ("## 0.20.4 (June 28, 2022)", "0.20.4", "2022-06-28"),
        ("# v1.2", "1.2", None),
        ("## Version 18.6b2", "18.6b2", None),
        ("### [1.2.3](https://github.com/a/b/compare/v1.2.2...v1.2.3) (2024-03-01)", "1.2.3", "2024-03-01"),
        ("## **6.17.1**", "6.17.1", None),
        ("### Version 4.0.0 (2018-01-28) ###", "4.0.0", "2018-01-28"),
        ("### 2.30.0 Oct 18 2026", "2.30.0", "2026-10-18"),
        ("## Rails 7.0.8 (September 09, 2023) ##", "7.0.8", "2023-09-09"),
        ("## 2026-09-23, Version 22.23.3 'Jod' (LTS), @ada prepared by @bob", "22.23.3", "2026-09-23"),
        ("## @scope/package@2.0.0-next.1", "2.0.0-next.1", None),
        ("## 1.5.8 (Unreleased)", "1.5.8", None),
        ("1.2.0 (2024-03-01)\n------------------", "1.2.0", "2024-03-01"),
        ("1.1.2 / 2017-09-23\n==================", "1.1.2", "2017-09-23"),
        ("============\nRelease 7.2.6 (released Sep 13, 2023)\n============", "7.2.6", "2023-09-13"),
        ("Changes in version 3.12 (released 7 March 2021)", "3.12", "2021-03-07"),
        ("Noteworthy changes in version 1.46 (2022-10-07) [C33/A33/R1]", "1.46", "2022-10-07"),
        ("v0.6.0", "0.6.0", None),
        ("New in 1.17:", "1.17", None),
        ("1.23  2020-01-05 12:00:00Z", "1.23", "2020-01-05"),
        ("## 2.0.1 (23.04.2024)", "2.0.1", "2024-04-23"),
        ("## 2024.3.1", "2024.3.1", None),
    ],
)
def test_headings(heading: str, version: str, date: str | None) -> None:
    found = releases(f"{heading}\n\n* Fix the cache.\n")
    assert found is not None
    assert [(one["version"], one.get("date"), one["changes"]) for one in found] == [
        (version, date, ["Fix the cache."])
    ]


@pytest.mark.parametrize(
    "line",
    [
        'Released 2024-03-01, codename "moth"',
        "*Release date: 2024-03-01*",
        ":Date: March 1st, 2024",
        "(released 1 March 2024)",
    ],
)
def test_the_date_may_stand_below_the_heading(line: str) -> None:
    found = releases(f"## Version 8.2.1\n\n{line}\n\n- Fix it.\n")
    assert found == [{"version": "8.2.1", "date": "2024-03-01", "references": [], "changes": ["Fix it."]}]


def test_references() -> None:
    found = releases(
        "## 1.0.0\n\n- {issue}`30` {pr}`31`, :issue:`32`, gh-33, owner/name#34, !35, issue 36, PR #37\n"
        "- https://github.com/a/b/pull/38#issuecomment-900 https://gitlab.com/a/b/-/merge_requests/39\n"
        "- [Labelled][1234], colour `#123`, &#45; entity, page.html#46, #30 again, #0\n\n"
        "[1234]: https://github.com/a/b/issues/40\n[unused]: https://github.com/a/b/issues/41\n"
    )
    assert found is not None
    assert found[0]["references"] == [30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40]


def test_sections_at_the_level_of_their_release() -> None:
    found = releases(
        "### [5.1.2](https://x/compare/a...b) (2021-03-06)\n\n### Bug Fixes\n\n* eliminate ReDoS ([#36](https://x/issues/36))\n\n"
        "## [5.1.0](https://x/compare/b...c) (2021-01-27)\n\n### ⚠ BREAKING CHANGES\n\n* drop it\n"
    )
    assert found is not None
    assert [(one["version"], one["references"]) for one in found] == [("5.1.2", [36]), ("5.1.0", [])]
    assert found[0]["bug fixes"] == ["eliminate ReDoS ([#36](https://x/issues/36))"]
    assert found[1]["breaking changes"] == ["drop it"]


def test_labels_are_sections_and_code_is_not_read() -> None:
    found = releases(
        "# Change Log\n\n## v2.0\n\nIntroduction.\n\n**Fixed bugs:**\n\n- One\n\n"
        "```md\n## v1.9\n- Not this\n```\n\n"
        "Added:\n\n1. Two\n\n   Its second paragraph.\n\n<!--\n## v1.8\n-->\n"
    )
    assert found == [
        {
            "version": "2.0",
            "references": [],
            "changes": ["One", "Two Its second paragraph."],
            "fixed bugs": ["One"],
            "added": ["Two Its second paragraph."],
        }
    ]


def test_debian() -> None:
    found = releases(
        "htop (3.2.2-2) unstable; urgency=medium\n\n  [ Ada ]\n"
        "  * Fix build on hurd\n    again (Closes: #1029567).\n"
        "  * New patch:\n    + one\n\n -- Ada Lovelace <ada@example.com>  Sat, 28 Jan 2023 11:01:58 +0100\n\n"
        "htop (3.2.2-1) unstable; urgency=medium\n\n  * New release.\n\n"
        " -- Ada Lovelace <ada@example.com>  Wed, 04 Jan 2023 10:00:00 +0100\n"
    )
    assert found == [
        {
            "version": "3.2.2-2",
            "date": "2023-01-28",
            "references": [1029567],
            "changes": ["Fix build on hurd again (Closes: #1029567).", "New patch: + one"],
        },
        {"version": "3.2.2-1", "date": "2023-01-04", "references": [], "changes": ["New release."]},
    ]


def test_releases_without_markup() -> None:
    found = releases(
        "libnsl NEWS -- user-visible changes.\n\n"
        "Version 1.3.0\n* One\n  more\n* Two\n\nVersion 1.2.0\n* Three\n"
    )
    assert found is not None
    assert [(one["version"], one["changes"]) for one in found] == [
        ("1.3.0", ["One more", "Two"]),
        ("1.2.0", ["Three"]),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Version 1.2.0 is out, and it fixes #12.",
        "We released 1.2.0 on 2024-03-01:\n\n## 1.2.0\n\n- Fix it.\n",
        "# Manual\n\n## 1.1 Introduction\n\n- Read it.\n\n## 1.2 Use\n\n- Use it.\n",
        "# Manual\n\n## 1.1.1 - Introduction\n\n- Read it.\n",
        "# Notes\n\n## Next\n\n- Call Ada.\n",
        "## 1.2.0\n\n- Fix it.\n\n## Roadmap\n\n- More.\n",
        "## 1.2.0 (03/04/2024)\n\n- Fix it.\n",
        "## 1.2.0 - Support ends on 2024-03-01 or so\n\n- Fix it.\n",
        "## 1.2.0\n\n- Fix it.\n\nversion 1.1.0 (2023-01-01):\n\n- Older.\n",
        "## foo 1.2.0 (2024-03-01)\n\n- Fix it.\n\n## bar 0.1.0 (2024-03-02)\n\n- Fix it.\n",
        "Version 1.2.0\n* One\nand a line that is no item\n",
        "Building\nRunning\nLinking\nDone\n\nv1.2.0\n- One\n",
        "1.2.3\n 1.2.4\nfoo==1.0\n",
        "## 192.168.1.10\n\n- Port 22 is open.\n",
        "| version | date |\n|---|---|\n| 1.2.0 | 2024-03-01 |\n",
    ],
    ids=[
        "nothing",
        "prose",
        "prose before a release",
        "numbered sections",
        "numbered sections with dashes",
        "notes",
        "another heading among the releases",
        "a date of two meanings",
        "a date in a sentence",
        "two notations",
        "two packages",
        "text among items without markup",
        "a log before a release",
        "a list of versions",
        "an address",
        "a table",
    ],
)
def test_what_is_not_wholly_a_changelog_is_left(text: str) -> None:
    assert parse(text) is None


@pytest.mark.parametrize(
    "piece",
    [
        "[a",
        "<a",
        "![x](",
        "_",
        "*a",
        "1.",
        "a/",
        "#",
        "Jan ",
        "1 - ",
        "\n# 1.0.0",
        "\n- ",
        "\n.. \n ",
        "```\n",
    ],
)
def test_time_grows_linearly(piece: str) -> None:
    def seconds(times: int) -> float:
        start = thread_time()
        parse(f"## 1.2.0\n\n{piece * times}\n\n## {piece * times}!\n")
        parse(f"1.2.0 (2024-03-01)\n{piece * times}\n -- {piece * times}")
        return thread_time() - start

    assert min(seconds(10_000) for _ in range(3)) < 10 * min(seconds(2_500) for _ in range(3)) + 0.01
