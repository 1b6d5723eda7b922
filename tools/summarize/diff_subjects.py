"""Names a diff in one line, like a commit subject, from its files and changed lines.

The wording follows Git's guide for commit subjects: imperative, no full stop, at most 72 characters. The
authors' own words (a new changelog entry, the name of a new test) are preferred to the changed lines.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from pathlib import PurePosixPath

from tools.summarize.diffs import DEFINED, Change, changes

SUBJECT_CHARACTERS = 72

_CHANGELOG = re.compile(
    r"(?:^|/)(?:change(?:s|log)?|news|history|releases?(?:[-_]notes)?|whats?new)(?:\.\w+)?$"
    r"|(?:^|/)(?:changelog\.d|newsfragments|changes|news)/|\.(?:change|feature|bugfix|misc|removal|doc)(?:\.\w+)?$",
    re.IGNORECASE,
)
_TEST = re.compile(r"(?:^|/)(?:tests?|testing|specs?|__tests__)/|(?:^|/)test_|[._-](?:test|spec)\.|_test\.")
_DOCS = re.compile(r"\.(?:md|rst|txt|adoc)$|(?:^|/)docs?/", re.IGNORECASE)
_ARGUMENT = re.compile(r"^\s*(?:[\"'])?(?P<name>[a-z_]\w+)(?:[\"'])?\s*(?::[^=,]+)?(?:=[^,]+)?,\s*$")
_ASSIGNED = re.compile(r"^(?P<name>[A-Z][A-Z\d_]{3,})\s*(?::[^=]+)?=")
_VERSION = re.compile(r"\bv?\d+(?:\.\d+)+(?:[-.]?(?:a|b|rc|dev|post|alpha|beta)\.?\d*)?\b|(?<=@)v?\d[\w.]*")
_PINNED = re.compile(
    r"(?<![\w./-])(?P<name>[A-Za-z][\w./-]{0,100})[\"']?\s?(?:[=~><!]=|@|:|=)\s?[\"'^~]{0,2}v?$"
)
_ENTRY = re.compile(r"^\s*+(?:[-*+•]|\d+\.|\.\. \w+::)?\s*+(?P<said>\S.*)$")
_MARKS = re.compile(r"\s?[(\[{]{0,3}(?:(?::\w+:|\{\w+\})`[^`]*`|#\d+|\[#\d+\](?:\([^)]*\))?)[)\]}]{0,3}[,.]?")
_ROLE = re.compile(
    r":\w{1,40}(?::\w{1,40})?:`~?\.?([^`]{1,300})`|``([^`]{1,300})``|\[([^\]]{1,300})\]\([^)]{0,500}\)"
)
_WORD = re.compile(r"[A-Za-z_]\w{2,}")
_SYNTAX = frozenset(
    """
    self this None True False null true false undefined return import from class def function const async
    await else elif with yield raise throw catch except finally while break continue pass public private
    protected static void string typing Optional
    """.split()  # noqa: SIM905 (words, not code)
)
# Verbs of changelogs as a subject writes them.
_IMPERATIVE = {
    "added": "Add", "adds": "Add", "fixed": "Fix", "fixes": "Fix", "removed": "Remove", "removes": "Remove",
    "changed": "Change", "changes": "Change", "updated": "Update", "updates": "Update", "moved": "Move",
    "deprecated": "Deprecate", "improved": "Improve", "improves": "Improve", "renamed": "Rename",
    "dropped": "Drop", "made": "Make", "allowed": "Allow", "allows": "Allow", "bumped": "Bump",
    "replaced": "Replace", "introduced": "Introduce", "supported": "Support", "refactored": "Refactor",
    "disabled": "Disable", "enabled": "Enable", "reverted": "Revert", "used": "Use", "uses": "Use",
}  # fmt: skip


def subject(text: str) -> str:
    """Returns one line for the whole diff; empty if nothing can be named."""
    found = changes(text)
    if not found:
        return ""
    for describe in (_bumped, _announced, _moved, _renamed, _defined, _tested, _documented, _shown, _touched):
        line = describe(found)
        if line:
            return _trimmed(line)
    return ""


def listed(text: str) -> list[str]:
    """Returns the subject, then a line for every file: added and removed lines, and where."""
    lines = [subject(text)]
    for change in changes(text):
        verb = "added" if change.made else "deleted" if change.deleted else "changed"
        places = list(dict.fromkeys([*_names([change], DEFINED, "added"), *change.within]))[:4]
        within = f" in {', '.join(places)}" if places else ""
        lines.append(f"- {change.path} {verb}: +{len(change.added)} -{len(change.removed)}{within}")
    return [line for line in lines if line]


def _of(found: Sequence[Change], pattern: re.Pattern[str], *, without: bool = False) -> list[Change]:
    return [change for change in found if (pattern.search(change.path) is None) == without]


def _announced(found: Sequence[Change]) -> str:
    """Returns the first entry added to a changelog."""
    for change in _of(found, _CHANGELOG):
        gone = {line.strip() for line in change.removed}
        for index, line in enumerate(change.added):
            entry = _ENTRY.match(line)
            if (
                entry is None
                or line.strip() in gone
                or line.lstrip().startswith(("#", "..", "<!--", "===", "---"))
            ):
                continue
            more = [
                part.strip() for part in change.added[index + 1 : index + 4] if part.startswith((" ", "\t"))
            ]
            entry_subject = _sentence(" ".join([entry["said"], *more]))
            if len(entry_subject.split()) >= 3 and not _VERSION.fullmatch(entry_subject):
                return entry_subject
    return ""


def _sentence(entry: str) -> str:
    """Returns a changelog entry as a subject: no links, no issue numbers, imperative."""
    entry = re.sub(r"\\\\ ?", "", entry)
    entry = _ROLE.sub(
        lambda m: f"`{next(group for group in m.groups() if group)}`" if not m[3] else m[3],
        _MARKS.sub("", entry),
    )
    entry = re.split(r"(?<=[a-z`)])[.;](?:\s|$)", entry.strip())[0].strip(" .:*_")
    first, _, rest = entry.partition(" ")
    return f"{_IMPERATIVE.get(first.lower(), first)} {rest}".strip()


def _bumped(found: Sequence[Change]) -> str:
    """Names a change of version numbers only."""
    pairs = [pair for change in found for pair in zip(change.removed, change.added, strict=False)]
    same = all(
        len(change.removed) == len(change.added) for change in found if not _CHANGELOG.search(change.path)
    )
    bumps = [
        (old, new) for old, new in pairs if old != new and _VERSION.sub("", old) == _VERSION.sub("", new)
    ]
    if not bumps or not same or len(bumps) < len(pairs) / 2:
        return ""
    old, new = bumps[0]
    before, after = next(
        ((a, b) for a, b in zip(_VERSION.findall(old), _VERSION.findall(new), strict=False) if a != b),
        ("", ""),
    )
    pinned = _PINNED.search(new[: new.find(after)])
    name = pinned["name"].split(":")[-1] if pinned else ""
    if not name or "version" in name.lower():
        return f"Bump version to {after}"
    return f"Bump {name.strip('- ')} from {before} to {after}"


def _moved(found: Sequence[Change]) -> str:
    """Names added, removed and renamed files, if the rest of the diff is small."""
    renamed = [change for change in found if change.old and change.old != change.path]
    if renamed and len(renamed) >= len(found) / 2:
        return f"Rename {renamed[0].old} to {renamed[0].path}"
    for flag, verb in (("made", "Add"), ("deleted", "Remove")):
        those = [change for change in _of(found, _TEST, without=True) if getattr(change, flag)]
        if those and len(those) >= len(found) / 2:
            return f"{verb} {those[0].name}"
    return ""


def _renamed(found: Sequence[Change]) -> str:
    """Names one word that is replaced by another throughout."""
    swaps: Counter[tuple[str, str]] = Counter()
    lines = 0
    for change in found:
        for old, new in zip(change.removed, change.added, strict=False):
            before, after = _WORD.findall(old), _WORD.findall(new)
            lines += 1
            if len(before) == len(after):
                differ = {(a, b) for a, b in zip(before, after, strict=True) if a != b}
                if len(differ) == 1:
                    swaps.update(differ)
    if not swaps:
        return ""
    (old, new), times = swaps.most_common(1)[0]
    if times < max(1, lines / 2) or any(len(c.added) != len(c.removed) for c in found):
        return ""
    alike = SequenceMatcher(None, old.lower(), new.lower()).ratio() > 0.6
    if alike and all(_DOCS.search(change.path) for change in found):
        return f"Fix typo in {found[0].name}"
    return f"Use {new} instead of {old}" if times == 1 else f"Rename {old} to {new}"


def _defined(found: Sequence[Change]) -> str:
    """Names definitions, constants and arguments added to or removed from the code itself."""
    code = [c for c in found if not _TEST.search(c.path) and not _DOCS.search(c.path)]
    for kinds, form in ((DEFINED, "{}"), (_ASSIGNED, "{}"), (_ARGUMENT, "{} to {}")):
        came, went = _names(code, kinds, "added"), _names(code, kinds, "removed")
        new, gone = [n for n in came if n not in went], [n for n in went if n not in came]
        within = next((name for change in code for name in change.within), code[0].name if code else "")
        if new and not gone:
            return "Add " + form.format(_listed(new), within)
        if gone and not new:
            return "Remove " + form.replace(" to ", " from ").format(_listed(gone), within)
        if new and gone and kinds is DEFINED:
            return f"Replace {gone[0]} with {new[0]}"
    return ""


def _names(found: Sequence[Change], kinds: re.Pattern[str], side: str) -> list[str]:
    lines: Iterator[str] = (line for change in found for line in getattr(change, side))
    names = (match["name"] for line in lines if (match := kinds.match(line)))
    return list(dict.fromkeys(name for name in names if not name.startswith("__")))


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} and {names[1]}"


def _tested(found: Sequence[Change]) -> str:
    """Names the new tests, if only tests change."""
    tests = _of(found, _TEST)
    new = [name for name in _names(tests, DEFINED, "added") if name not in _names(tests, DEFINED, "removed")]
    named = [name for name in new if name.lower().startswith("test")]
    if len(tests) == len(found):
        what = " ".join(_spoken(named[0])) if named else PurePosixPath(tests[0].path).stem
        return f"Add test for {what}" if named else f"Update tests of {what.removeprefix('test_')}"
    return ""


def _spoken(name: str) -> list[str]:
    return [
        word for word in re.findall(r"[A-Z]?[a-z\d]+|[A-Z]+", name) if word.lower() not in ("test", "tests")
    ]


def _shown(found: Sequence[Change]) -> str:
    """Names the behaviour described by the name of a new test."""
    tests, place = _of(found, _TEST), _place(found)
    gone = _names(tests, DEFINED, "removed")
    new = [name for name in _names(tests, DEFINED, "added") if name not in gone and name.startswith("test")]
    name_words = _spoken(new[0]) if new else []
    return f"Fix {' '.join(name_words)} in {place}" if len(name_words) > 1 else ""


def _place(found: Sequence[Change]) -> str:
    """Returns the definition or file that changes most, without tests."""
    code = _of(found, _TEST, without=True) or list(found)
    change = max(code, key=lambda one: len(one.added) + len(one.removed))
    return change.within[0] if change.within else change.name


def _documented(found: Sequence[Change]) -> str:
    if len(_of(found, _DOCS)) < len(found):
        return ""
    change = max(found, key=lambda one: len(one.added))
    new = [line for line in change.added if line.strip() and line not in change.removed]
    close = [line for line in change.removed if any(_close(line, other) for other in new)]
    if close and len(close) >= len(new) / 2:
        return f"Fix wording in {change.name}"
    return f"{'Add to' if not change.removed else 'Remove from' if not new else 'Update'} {change.name}"


def _close(one: str, other: str) -> bool:
    first, second = set(_WORD.findall(one)), set(_WORD.findall(other))
    return len(first & second) >= 0.7 * max(1, len(first | second))


def _touched(found: Sequence[Change]) -> str:
    """Names the place that changes most, and the word added or removed there."""
    if not found:
        return ""
    code = _of(found, _TEST, without=True) or list(found)
    gone = Counter(word for change in code for line in change.removed for word in _WORD.findall(line))
    come = Counter(word for change in code for line in change.added for word in _WORD.findall(line))
    where = _place(found)
    for words, others, form in ((come, gone, "Use {} in {}"), (gone, come, "Remove {} from {}")):
        telling = [word for word, _ in words.most_common() if word not in others and len(word) > 3]
        telling = [word for word in telling if word not in _SYNTAX and word != where]
        if telling:
            return form.format(telling[0], where)
    return f"Update {where}"


def _trimmed(line: str) -> str:
    """Returns the text on one line, capitalised, cut at a word's end."""
    line = " ".join(line.split()).rstrip(".")
    line = line[:1].upper() + line[1:]
    if len(line) <= SUBJECT_CHARACTERS:
        return line
    cut = line[: SUBJECT_CHARACTERS + 1].rsplit(" ", 1)[0]
    if "," in cut[SUBJECT_CHARACTERS // 2 :]:
        cut = cut.rsplit(",", 1)[0]
    return re.sub(r"(?<![\s,;:])[\s,;:]++(?:and|or|the|a|an|of|to|in|for|with|by|on|when)?$", "", cut)
