"""Parses changelogs: Keep a Changelog, conventional-changelog, changesets, reStructuredText, NEWS, Debian.

A release is a heading with a version and, if known, a date. Below it stand list items and paragraphs, up to
the next release, some under headings of their own. What is not released yet has the version ``Unreleased``.
"""

import datetime
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from engines.base import JsonValue
from tools.extract.formats.report import Record, Report

UNRELEASED = "Unreleased"
_LONGEST_HEADING = 400
_LONGEST_TITLE = 3
"""Lines above the first release, if none of them is marked as a heading."""

_ATX = re.compile(r"(?P<marks>#{1,6})[ \t]+(?P<title>\S.*)")
_RULE = re.compile(r"([=\-~^\"'*+#])\1{2,}[ \t]*")
_ITEM = re.compile(r"(?P<margin>[ \t]*)(?:[-*+•]|\d{1,3}[.)])[ \t]+(?=\S)")
_FENCE = re.compile(r"[ \t]*```[^`]*")
_LABEL = re.compile(r"\*\*([^*]{1,60})\*\*:?|([A-Z][\w'-]{1,30}(?: [\w'-]{1,30}){0,3}):")
"""A line that serves as a heading: ``**Fixed**``, ``Bug fixes:``."""
_DEFINITION = re.compile(r"[ \t]*\[(?P<label>[^\[\]]{1,200})\]:[ \t]*(?P<url>\S+)")
_TRAILER = re.compile(r" -- .*<[^<>]*>  (?P<date>\S.*)")
_NO_TEXT = re.compile(
    r"<!--|</?\w|#|\.\. |\[!\[|(?:[-*_] ?){3,}$|\[[^\[\]]{1,200}\]:|\[ [^\[\]]{1,100} \]$|:\w+: "
)
"""Begins a comment, directive, badge, rule, link definition, name of a Debian maintainer."""

_DIRECTIVE = re.compile(r"^\.\. .*\n(?:[ \t]*\n|[ \t]+\S.*\n)*", re.MULTILINE)
_LINK = re.compile(r"!?\[([^\[\]]*)\](?:\([^()]*\)|\[[^\[\]]*\])?")
_NAME = re.compile(r".*[\w)]")
_BRACKETS = re.compile(r"\[([^\[\]]+)\]")
_MARKS = re.compile(r"<[^<>]*>|[*`]|(?<!\w)_|_(?!\w)")
_CLOCK = re.compile(r"[T ]?\b\d\d?:\d\d(?::\d\d)?(?:\.\d+)?(?: ?(?:Z|[A-Z]{3,4}|[+-]\d\d:?\d\d)\b)?")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = rf"(?:{'|'.join(_MONTHS)})[a-z]{{0,6}}\.?"
_DATE = re.compile(
    r"(?<![\w.])(?:(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*,? +)?"
    r"(?:\d{4}(?P<iso>[-/.])\d\d?(?P=iso)\d\d?|\d\d?(?P<cut>[-/.])\d\d?(?P=cut)\d{4}"
    rf"|{_MONTH} +\d\d?(?:st|nd|rd|th)?,? +\d{{4}}"
    rf"|\d\d?(?:st|nd|rd|th)?\.?(?: of)?[ -]+{_MONTH}[ ,-]+\d{{4}})"
    r"(?![\w-])",
    re.IGNORECASE,
)
_YEAR = re.compile(r"\b(?:19|20)\d\d\b")
_BEFORE_VERSION = re.compile(
    r"(?P<lead>(?:(?:version|release|(?:(?:overview of|[a-z]{5,12}) )?changes (?:in|for|with)"
    r"|(?:what['’]?s )?new in) ){0,2})"
    r"(?P<name>(?:[A-Za-z][\w@/&'.-]{0,60} ){0,3}?(?:@?[A-Za-z][\w/.-]{0,60}@)?)"
    r"(?P<last>(?:version |release )?)(?=v?\.?\d)",
    re.IGNORECASE,
)
_VERSION = re.compile(
    r"(?P<v>v?)\.?(?P<version>\d+(?P<minor>(?:\.\d+)*)"
    r"(?:[-+.~_]?[a-wyz](?:[\w.+~-]*\w)?|[-+~](?!\d{4}-)\w(?:[\w.+~-]*\w)?)?)(?!\w)",
    re.IGNORECASE,
)
_BEFORE_DATE = re.compile(
    r"[\s,;:./|(\[–—-]*(?:(?:released?|published|dated?|on|as of)[:,]? +){0,3}", re.IGNORECASE
)
_AFTER_VERSION = re.compile(
    r"(?:[ .:()\[\]]|\b(?:final|lts|stable|latest|yanked|unreleased|in development|released?|notes)\b){0,12}$"
    r"|(?P<free> ?[(\[,:;/|\"'“]| [-–—] )",
    re.IGNORECASE,
)
_NEXT = re.compile(
    r"(?:unreleased|not (?:yet )?released)\b.*"
    r"|(?:version )?(?P<vague>next|head|main|master|dev|develop|trunk|upcoming)"
    r"(?: (?:changes|release|version))?(?: \([\w .]{1,40}\))?:?",
    re.IGNORECASE,
)
_DEBIAN = re.compile(r"[a-z0-9][a-z0-9.+-]+ \((?P<version>[^\s()]+)\)(?: [\w.-]+)+; *urgency=\w+.*")
_RELEASED = re.compile(r"(?:(?:release date|released?|dated?|published)(?: on)?:? )?", re.IGNORECASE)
_TITLE = re.compile(r"\b(?:change ?-?logs?|changes|history|releases?|news|what['’]?s new)\b", re.IGNORECASE)
_REFERENCE = re.compile(
    r"(?<![\w.&`/-])(?:[\w.-]{1,60}/[\w.-]{1,60})?#([1-9]\d{0,9})\b|\bgh-(?:issue-)?(\d{1,10})\b"
    r"|/(?:issues|pulls?|merge_requests)/(\d{1,10})\b|(?<![^\s(\[,])!(\d{1,10})\b"
    r"|\b(?:issues?|prs?|pull|pull requests?|bugs?|tickets?|mr|gh)[}:]{0,2}(?:`#?| #?|#)(\d{1,10})\b",
    re.IGNORECASE,
)

_TELLING = frozenset({
    "added", "changed", "fixed", "removed", "deprecated", "features", "new features", "bug fixes", "bugfixes",
    "breaking changes", "major changes", "minor changes", "patch changes", "what's changed", "deprecations",
})  # fmt: skip
"""Sections that only changelogs have."""
_SECTIONS = _TELLING | {
    "security", "bugs", "fixes", "enhancements", "improvements", "performance", "performance improvements",
    "documentation", "docs", "doc", "chores", "miscellaneous", "miscellaneous chores", "code refactoring",
    "refactoring", "reverts", "tests", "build", "build system", "ci", "core", "internal", "dependencies",
    "removals", "commits", "merged", "notable changes", "other changes", "new contributors", "contributors",
    "highlights", "changes",
}  # fmt: skip
"""Sections that may stand at the level of their release."""
_OWN_NAMES = frozenset({"version", "date", "references", "changes", ""})


@dataclass(frozen=True, slots=True)
class _Heading:
    title: str
    level: int
    first: int
    after: int
    """Index of the line after it."""


@dataclass(frozen=True, slots=True)
class _Release:
    version: str
    date: str = ""
    name: str = ""
    """Of the project, if the heading has it."""
    sure: bool = True
    """False for what may as well be a numbered section."""


@dataclass(slots=True)
class _Block:
    """A list item, or a paragraph."""

    section: str
    lines: list[str]
    margin: int = 0
    indent: int = 0
    """Of an item's text; 0 for a paragraph."""

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.lines).split())


def parse(text: str) -> Report | None:
    """Reads a changelog into one record a release."""
    lines = text.split("\n")
    fenced = _fenced(lines)
    headings = list(_headings(lines, fenced))
    releases = _releases(headings)
    if not releases:
        headings = _bare_headings(lines)
        releases = _releases(headings)
    if not releases or not _is_changelog(lines, headings, releases):
        return None
    titles = {heading.first: heading for heading in headings}
    urls = {match["label"]: match["url"] for line in lines if (match := _DEFINITION.match(line))}
    stops = [heading.first for heading, _ in releases[1:]] + [len(lines)]
    records: list[Record] = []
    for (heading, release), stop in zip(releases, stops, strict=True):
        last = _last(lines, heading.after, stop)
        date, start = _date_below(lines, heading.after, last)
        if date is None:
            return None
        values = _by_section(_blocks(lines, range(start, last), titles, fenced))
        values["version"] = release.version
        values["references"] = _references(lines[heading.first : last], urls)
        if release.date or date:
            values["date"] = release.date or date
        records.append(Record(values, heading.first + 1, last))
    return Report("changelog", records)


def _fenced(lines: Sequence[str]) -> set[int]:
    """Returns the lines of fenced code blocks and of comments."""
    found: set[int] = set()
    end = ""
    for index, line in enumerate(lines):
        start = "" if end else _opened(line)
        if end or start:
            found.add(index)
        end = start or ("" if end and end in line else end)
    return found


def _opened(line: str) -> str:
    """Returns what ends the block of code or comment that a line begins; empty if none goes on below it."""
    if _FENCE.fullmatch(line):
        return "```"
    return "-->" if line.lstrip().startswith("<!--") and "-->" not in line else ""


def _headings(lines: Sequence[str], fenced: set[int]) -> Iterator[_Heading]:
    """Yields ``# marked`` and underlined headings; levels of the latter follow the order of appearance."""
    levels: dict[str, int] = {}
    rules = [match[1] if (match := _RULE.fullmatch(line)) else "" for line in lines] + ["", ""]
    after = 0
    for index, line in enumerate(lines):
        if index < after or index in fenced:
            continue
        if match := _ATX.fullmatch(line):
            after = index + 1
            yield _Heading(match["title"], len(match["marks"]), index, after)
        elif rules[index] and rules[index] == rules[index + 2] and not rules[index + 1]:
            after = index + 3
            level = levels.setdefault(rules[index] * 2, len(levels) + 1)
            yield _Heading(lines[index + 1], level, index, after)
        elif rules[index + 1] and not rules[index] and line[:1].strip() and not _is_listed(line):
            after = index + 2
            yield _Heading(line, levels.setdefault(rules[index + 1], len(levels) + 1), index, after)


def _is_listed(line: str) -> bool:
    return _ITEM.match(line) is not None or _NO_TEXT.match(line) is not None


def _bare_headings(lines: Sequence[str]) -> list[_Heading]:
    """Returns releases without markup; empty unless the lines between are indented, items or labels."""
    found: list[_Heading] = []
    above = 0
    for index, line in enumerate(lines):
        if not line[:1].strip() or _is_listed(line):
            continue
        if _release(line):
            found.append(_Heading(line, 1, index, index + 1))
        elif not found:
            above += 1
        elif not (_LABEL.fullmatch(line) or _date_below(lines, found[-1].after, index + 1)[1] > index):
            return []
        if above > _LONGEST_TITLE:
            return []
    return found


def _releases(headings: Sequence[_Heading]) -> list[tuple[_Heading, _Release]]:
    """Returns the headings of releases; empty unless the others are one title and sections of releases."""
    found: list[tuple[_Heading, _Release]] = []
    name: str | None = None
    for index, heading in enumerate(headings):
        release = _release(heading.title)
        is_other = release is not None and release.sure
        if release and (release.version == UNRELEASED or name in (None, release.name)):
            found.append((heading, release))
        elif release and is_other and index == 1 and heading.level > headings[0].level:
            found = [(heading, release)]  # The heading before, ``Changes in Name 1.x``, is the title.
        elif index and (is_other or not found or _is_beside(heading, found[-1][0])):
            return []
        if found and found[-1][1].version != UNRELEASED:
            name = found[-1][1].name
    return found


def _is_beside(heading: _Heading, release: _Heading) -> bool:
    """Returns whether a heading is at the level of the release above it, and no usual section."""
    return heading.level <= release.level and _section(heading.title) not in _SECTIONS


def _is_changelog(
    lines: Sequence[str], headings: Sequence[_Heading], releases: Sequence[tuple[_Heading, _Release]]
) -> bool:
    """Returns whether there is no other text, and the numbers of releases are not of something else."""
    start = releases[0][0].first
    above = _DIRECTIVE.sub("", "".join(f"{line}\n" for line in lines[: headings[0].first])).split("\n")
    above = [line for line in above if line.strip() and not _NO_TEXT.match(line)]
    marked = {index for heading in headings for index in range(heading.first, heading.after)}
    others = (line for index, line in enumerate(lines) if index > start and index not in marked)
    title = above[0] if above else headings[0].title
    titled = _TITLE.search(title) is not None and _release(title) is None
    if above and (headings[0].first < start or not titled or len(above) > _LONGEST_TITLE):
        return False
    if any(map(_is_dated, others)):
        return False
    telling = titled or any(_section(heading.title) in _TELLING for heading in headings)
    return any(release.sure or (telling and release.version != UNRELEASED) for _, release in releases)


def _is_dated(line: str) -> bool:
    """Returns whether a line without the marks of a heading is a dated release."""
    if not line[:1].isalnum() or not _YEAR.search(line, 0, _LONGEST_HEADING):
        return False
    release = _release(line)
    return release is not None and bool(release.date)


def _release(title: str) -> _Release | None:
    """Returns the release that a heading names; ``None`` if not all of it is understood."""
    if len(title) > _LONGEST_HEADING:
        return None
    if debian := _DEBIAN.fullmatch(title):
        return _Release(debian["version"])
    plain = _plain(title)
    if following := _NEXT.fullmatch(plain):
        return _Release(UNRELEASED, sure=not following["vague"])
    date, plain = _leading_date(plain)
    before = _BEFORE_VERSION.match(plain)
    version = before and _VERSION.match(plain, before.end())
    if not before or not version or plain.count("(") != plain.count(")"):
        return None
    rest = plain[version.end() :]
    after = _AFTER_VERSION.match(rest)
    date = date or _date_after(rest)
    if date is None or not (date or after):
        return None
    dots, name = version["minor"].count("."), before["name"].strip(" @").lower()
    marked = bool(version["v"] or before["lead"] or before["last"]) or before["name"].endswith("@")
    alone = dots == 2 and not name and not (after and after["free"])
    sure = dots > 0 and (marked or alone or (bool(date) and (dots > 1 or not name)))
    return _Release(version["version"], date, name, sure) if dots or marked else None


def _plain(title: str) -> str:
    """Returns a heading without links, markup and times."""
    plain = _CLOCK.sub("", _MARKS.sub("", _LINK.sub(r"\1", title)))
    return re.sub(r"^[^\w@(]+", "", " ".join(plain.split())).rstrip("# ")


def _section(title: str) -> str:
    """Returns the name of a section: what its heading says up to the last letter."""
    name = _NAME.match(_plain(title).lower())
    return name[0] if name else ""


def _leading_date(plain: str) -> tuple[str | None, str]:
    """Splits a date off the start; ``2024.3.1`` is a version."""
    date = _DATE.match(plain)
    if not date or date["iso"] == "." or date["cut"]:
        return "", plain
    return _iso(date), plain[date.end() :].lstrip(" ,:/|–—-")


def _date_after(rest: str) -> str | None:
    """Returns the date that follows a version or ends its heading; ``None`` if a date stands elsewhere."""
    lead = _BEFORE_DATE.match(rest)
    date = _DATE.match(rest, lead.end() if lead else 0)
    if date:
        return _iso(date)
    date = _DATE.search(rest)
    if not date:
        return ""
    ends = not rest[date.end() :].strip(" )].") and rest[: date.start()].rstrip()[-1:] in tuple("([,/|-–—")
    return _iso(date) if ends else None


def _iso(date: re.Match[str]) -> str | None:
    """Returns a date in ISO form; ``None`` for 3/4/2024, which is another day elsewhere."""
    numbers = [int(number) for number in re.findall(r"\d+", date[0])]
    if date["iso"]:
        year, month, day = numbers
    elif date["cut"]:
        day, month, year = numbers
        if month > 12:
            day, month = month, day
        elif date["cut"] != "." and day != month and day <= 12:
            return None
    else:
        day, year = numbers
        names = enumerate(_MONTHS, 1)
        month = next(number for number, name in names if re.search(rf"\b{name}", date[0], re.IGNORECASE))
    try:
        return datetime.date(year, month, day).isoformat()
    except ValueError:
        return None


def _last(lines: Sequence[str], start: int, stop: int) -> int:
    """Returns the index after the last line with text."""
    while stop > start and (not (line := lines[stop - 1].strip()) or _NO_TEXT.match(line)):
        stop -= 1
    return stop


def _date_below(lines: Sequence[str], start: int, stop: int) -> tuple[str | None, int]:
    """Returns the date on the first line of a release, the last in Debian's form; and where text begins."""
    trailer = _TRAILER.fullmatch(lines[stop - 1])
    if trailer and (date := _DATE.search(_plain(trailer["date"]))):
        return _iso(date), start
    first = next((index for index in range(start, stop) if lines[index].strip()), stop)
    plain = _plain(lines[first]).lstrip("(") if first < stop else ""
    lead = _RELEASED.match(plain)
    date = _DATE.match(plain, lead.end() if lead else 0)
    if date and ((lead and lead[0]) or not plain[date.end() :].strip(" .)")):
        return _iso(date), first + 1
    return "", start


def _blocks(
    lines: Sequence[str], body: range, titles: Mapping[int, _Heading], fenced: set[int]
) -> list[_Block]:
    """Returns the items and paragraphs of a release."""
    reader = _Reader()
    after = body.start
    for index in body:
        if index in titles:
            reader.enter(_section(titles[index].title))
            after = titles[index].after
        elif index >= after:
            reader.take(lines[index], code=index in fenced)
    return reader.blocks


class _Reader:
    """Puts lines together to blocks."""

    def __init__(self) -> None:
        self.blocks: list[_Block] = []
        self._section = ""
        self._open: _Block | None = None
        self._gap = False
        """Whether the line before is blank."""

    def enter(self, section: str) -> None:
        self._section, self._open = section, None

    def take(self, line: str, *, code: bool) -> None:
        text = line.strip()
        margin = len(line) - len(line.lstrip())
        item = None if code else _ITEM.match(line)
        label = None if code or margin else _LABEL.fullmatch(text)
        block = self._open
        if not text:
            self._gap = True
            return
        if item and not (block and block.indent and margin >= block.indent):
            self._begin(_Block(self._section, [line[item.end() :]], margin, item.end()))
        elif label:
            self.enter(_section(text))
        elif block and self._is_in(block, margin, text):
            block.lines.append(text)
        elif code or _NO_TEXT.match(text) or _TRAILER.fullmatch(line):
            self._open = None
        else:
            self._begin(_Block(self._section, [text]))
        self._gap = False

    def _begin(self, block: _Block) -> None:
        self._open = block
        self.blocks.append(block)

    def _is_in(self, block: _Block, margin: int, text: str) -> bool:
        """Returns whether a line continues ``block``: after a blank line if it is indented below an item."""
        if block.indent and margin > block.margin:
            return True
        return not self._gap and not _NO_TEXT.match(text)


def _by_section(blocks: Sequence[_Block]) -> dict[str, JsonValue]:
    """Returns the entries of the release and of each section: its items; its paragraphs if it has none."""
    listed = {block.section for block in blocks if block.indent}
    sections = any(block.section for block in blocks)
    values: dict[str, list[JsonValue]] = {"changes": []}
    for block in blocks:
        if block.indent or (block.section not in listed and (block.section or not sections)):
            values["changes"].append(block.text)
            if block.section not in _OWN_NAMES:
                values.setdefault(block.section, []).append(block.text)
    return dict(values)


def _references(lines: Sequence[str], urls: Mapping[str, str]) -> list[JsonValue]:
    """Returns the numbers of issues and pull requests, also those that only the definition of a link has."""
    text = "\n".join(line for line in lines if not _DEFINITION.match(line))
    labels = {match[1] for match in _BRACKETS.finditer(text)}
    text = "\n".join([text, *(urls[label] for label in labels & urls.keys())])
    found = {int(next(filter(None, match.groups()))) for match in _REFERENCE.finditer(text)}
    return list[JsonValue](sorted(found))
