"""Groups lines of a log into kinds: lines that differ only in numbers, ids, times, addresses, paths or names.

The figures of a line are masked first, which leaves few distinct forms. Then all forms are compared at once,
so that their order does not matter while they fit in ``ROOM``: they are split at the place with the fewest
words (as in IPLoM, Makanju et al. 2009) until the rest shares enough words (as in Drain, He et al. 2017).

GA below is the mean share of lines in exactly the right group, over the sixteen labelled sets of loghub (Zhu
et al. 2023), by which rules were kept or dropped: 0.909 for messages, 0.80 for raw lines.
"""

import re
from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from tools.sources.levels import RANKS

GAP = "…"
"""Stands for what varies in a pattern."""
LONGEST = 2_000
"""Characters of a line that are compared; the rest is a gap. 500 do for loghub, 200 lose 0.05 of raw GA."""
ROOM = 2_000_000
"""Characters of distinct forms that are held: 20,000 usual lines, 110 MB in a process (random words)."""
FEWEST = 3
"""Different words that make a place vary; a path or a word with a figure needs two. GA with 2: 0.875."""
SHARED = 0.6
"""Least share of its words and places that a kind has in common. GA 0.905 to 0.909 from 0.5 to 0.7."""
OUTCOMES = 0.3
"""Share of outcomes among the words of a place that makes each word a kind. GA without outcomes: 0.903."""
TEXTS = 100
"""Different texts in one place that make it free text. With 50, 70 boot messages of Linux are one kind."""
REPEATED = 1.25
"""Most lines per free text: messages of a program repeat more. Raw GA 0.80 from 1.05 to 2, 0.77 at 10."""
CACHED = 40
"""Longest word whose mask is kept; 97% of the words of loghub are no longer."""

_LETTER, _WORD, _HEX = r"[^\W\d_]", r"[^\W_]", r"[\da-fA-F]"
_FIGURE = re.compile(  # UUID, MAC, IPv6; hexadecimal; letters between digits; number; terminal color
    rf"(?<!{_WORD})(?:{_HEX}{{1,12}}(?:[:-]{_HEX}{{1,12}}){{3,}}+(?!{_WORD})|-?0[xX]{_HEX}++"
    rf"|(?=[a-fA-F]*+\d)(?:[\da-f]{{6,}}+|[\dA-F]{{6,}}+)(?!{_WORD})|{_LETTER}*+\d++{_LETTER}++\d{_WORD}*+"
    r"|-?\d++)|\d++|\x1b\[[\d;]*+m"
)
_DAYS = (
    r"(?:\b(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun|Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)\b[ ,/-]*+){0,4}+"
)
_GAPS = re.compile(rf"{_DAYS}{GAP}(?:[-_.,:/+ #]*+{_DAYS}{GAP})*+(?: ?[kKMGT]?i?B\b)?")
_STATUS = re.compile(  # of HTTP, after the request or the word "status"
    r"(?:\b(?:GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS) \S++ (?:HTTP/[\d.]++\"? )?"
    r"|(?i:status)(?:_?[cC]ode)?[\"']?[ :=]{1,2})([1235]0\d|4[0-3]\d|451)(?![\w.])"
)
_NONE = re.compile(  # an exit code that is 0, or no errors
    r"(?i:\b(?:code|errno|exit|rc|return|status)\w*+[\"']?[ :=]{1,2})(0)(?![\w.])"
    r"|(?<![\w.])(0)(?= (?i:err|fail|fall))"
)
# Words are compared between all borders, then between spaces: GA 0.906 and 0.900 with one of them.
_BORDERS = (re.compile(r"([\s=:,\"])"), re.compile("( )"))
_LEVELS = "|".join(sorted(RANKS, key=len, reverse=True))
_LEVEL = re.compile(  # in capitals anywhere, otherwise no part of a path or host; one capital; HTTP status
    rf"(?<!{_WORD})(?:{_LEVELS.upper()})(?!{_WORD})"
    rf"|(?<![\w./\\-])(?:[A-Z]|(?i:{_LEVELS}))(?![\w/\\-]|\.\w)|\d{{3}}"
)
_MARKS = '.,;:!?()[]{}<>"'
_HOLE = re.compile(r': |"(?=[^"]*+")')
_OUTCOME = re.compile(r"[A-Z]{2,}|hit|miss|up|down|ok|\w{3,}(?:ed|ing)")
_LETTERS, _NAME = re.compile(_LETTER), re.compile(rf"[/\\{GAP}]")
_WORDED = re.compile(rf"{_LETTER}{{3}}")

# The digits of a status are private characters while figures are masked.
_HIDDEN = {ord("0") + digit: 0xF8D0 + digit for digit in range(10)}
_SHOWN = {hidden: digit for digit, hidden in _HIDDEN.items()}

_Row = tuple[str, list[str]]
"""A form and its words, with the borders between them."""
_Found = dict[str, list[int]]
"""Numbers of forms, by their pattern."""


class TooManyKindsError(Exception):
    """Raised for lines that are hardly alike, such as prose."""


@dataclass(frozen=True, slots=True)
class Kind:
    pattern: str
    """The line with single spaces and a ``GAP`` for each place that varies."""
    members: Sequence[int]
    """The indices of its lines, ascending."""
    varied: bool
    """Whether a gap stands for free text: its lines may mean different things."""


def kinds_of(lines: Iterable[str]) -> list[Kind]:
    """Returns the kinds of ``lines`` in the order of their first lines; lines are not held.

    Raises ``TooManyKindsError`` if the kinds take more than half of ``ROOM``.
    """
    table, of_line = _Forms(), array("I")
    for line in lines:
        of_line.append(table.number(line))
    table.merge()
    members = {number: array("I") for number in table.forms.values()}
    for index, number in enumerate(of_line):
        members[table.root(number)].append(index)
    kinds = [Kind(form, members[number], form in table.free) for form, number in table.forms.items()]
    return sorted(kinds, key=lambda kind: kind.members[0])


class _Forms:
    """The distinct masked lines; merged whenever there is no more room."""

    def __init__(self) -> None:
        self.forms = dict[str, int]()
        self.free = set[str]()
        self._known = dict[str, int]()
        self._masks = _Masks()
        self._counts, self._parents = array("I"), array("I")
        self._size = self._known_size = 0

    def number(self, line: str) -> int:
        """Returns the number of the form of ``line``, which may be merged into another later."""
        rough = _rough(line, self._masks)
        number = self._known.get(rough)
        if number is None:
            number = self._number(_GAPS.sub(GAP, rough).translate(_SHOWN))
            self._known_size += len(rough)
            if self._known_size > ROOM:
                self._known.clear()
                self._known_size = len(rough)
            self._known[rough] = number
        number = self.root(number)
        self._counts[number] += 1
        return number

    def root(self, number: int) -> int:
        """Returns the number of the form into which ``number`` was merged, and shortens the way there."""
        root = number
        while self._parents[root] != root:
            root = self._parents[root]
        while number != root:
            self._parents[number], number = root, self._parents[number]
        return root

    def merge(self) -> None:
        """Replaces the forms with the patterns of their kinds."""
        found: _Found = {form: [number] for form, number in self.forms.items()}
        for border in _BORDERS:
            found = _merged_words(found, border, self.free)
        self._merge_texts(found)
        self.forms.clear()
        for pattern, numbers in found.items():
            first = self.forms[pattern] = min(numbers)
            lines = self._lines(numbers)
            for number in numbers:
                self._parents[number], self._counts[number] = first, 0
            self._counts[first] = lines
        self._size = sum(map(len, self.forms))
        self.free.intersection_update(self.forms)

    def _number(self, form: str) -> int:
        number = self.forms.get(form)
        if number is not None:
            return number
        if self._size + len(form) > ROOM:
            self.merge()
            if self._size > ROOM / 2:
                raise TooManyKindsError(f"{len(self.forms):,} kinds in {sum(self._counts):,} lines")
        number = self.forms.setdefault(form, len(self._parents))
        if number == len(self._parents):
            self._parents.append(number)
            self._counts.append(0)
            self._size += len(form)
        return number

    def _lines(self, numbers: Iterable[int]) -> int:
        return sum(self._counts[number] for number in numbers)

    def _merge_texts(self, found: _Found) -> None:
        """Merges what follows a colon or is quoted if it hardly repeats; changes ``found``."""
        places = defaultdict[str, list[str]](list)
        for form in found:
            for place in _places(form):
                places[place].append(form)
        forms = list(places.values())
        merged: _Found = {place: [number] for number, place in enumerate(places)}
        for border in _BORDERS:
            merged = _merged_words(merged, border, set())
        for pattern in sorted(merged, key=lambda place: (-len(place), place)):
            texts = {form for number in merged[pattern] for form in forms[number]} & found.keys() - {pattern}
            lines = sum(self._lines(found[form]) for form in texts)
            if pattern in self.free or (len(texts) >= TEXTS and lines <= REPEATED * len(texts)):
                self.free.add(pattern)
                numbers = [number for form in texts for number in found.pop(form)]
                found[pattern] = numbers + found.get(pattern, [])


class _Masks(dict[str, str]):
    """Words with gaps for their figures."""

    def __missing__(self, word: str) -> str:
        mask = _FIGURE.sub(GAP, word)
        if len(word) <= CACHED:
            if len(self) * CACHED >= ROOM:
                self.clear()
            self[word] = mask
        return mask


def _rough(line: str, masks: _Masks) -> str:
    """Returns ``line`` with gaps for its figures, but those of an HTTP status and of success hidden."""
    if len(line) > LONGEST:
        line = line[:LONGEST] + GAP
    if "tatus" in line or "HTTP" in line or " /" in line:
        status = _STATUS.search(line)
        if status:
            at, end = status.span(1)
            line = line[:at] + status[1].translate(_HIDDEN) + line[end:]
    if " 0" in line or "=0" in line or ":0" in line:
        line = _NONE.sub(lambda none: none[0].translate(_HIDDEN), line)
    return " ".join(map(masks.__getitem__, line.split()))


def _places(form: str) -> Iterator[str]:
    """Yields ``form`` with a gap for what may be free text; the level words in it are kept."""
    for hole in islice(_HOLE.finditer(form), 5):
        start = hole.end()
        end = len(form) if hole[0] == ": " else form.find('"', start)
        if " " in form[start:end]:
            yield form[:start] + GAP.join(["", *_LEVEL.findall(form[start:end]), ""]) + form[end:]


def _merged_words(found: _Found, border: re.Pattern[str], free: set[str]) -> _Found:
    """Merges forms with the same borders and levels if their words are similar; adds to ``free``."""
    alike = defaultdict[object, list[_Row]](list)
    held = dict[str, str]()
    for form in found:
        pieces = [held.setdefault(piece, piece) for piece in border.split(form)]
        alike[tuple(pieces[1::2]), tuple(_LEVEL.findall(form))].append((form, pieces))
    result = defaultdict[str, list[int]](list)
    for rows in alike.values():
        for pattern, members, is_free in _split(rows, free):
            result[pattern].extend(number for form in members for number in found[form])
            if is_free:
                free.add(pattern)
    return result


def _split(rows: list[_Row], known: set[str]) -> Iterator[tuple[str, list[str], bool]]:
    """Yields pattern, forms and whether it has free text, for each kind among forms with the same borders."""
    todo = [rows]
    while todo:
        rows = todo.pop()
        values = [set(words) for words in zip(*(pieces for _, pieces in rows), strict=True)]
        varying = [at for at, words in enumerate(values) if len(words) > 1]
        kept = [at for at in varying if _is_kept(values[at])]
        shared = sum(len(words) == 1 and _LETTERS.search(min(words)) is not None for words in values)
        was_free = any(form in known for form, _ in rows)
        free = was_free or _is_free(values)
        few = shared < SHARED * (shared + len(varying)) or (free and not was_free and len(rows) < TEXTS)
        if varying and (kept or few):
            place = min(kept or varying, key=lambda at: len(values[at]))
            parts = defaultdict[str, list[_Row]](list)
            for row in rows:
                parts[row[1][place]].append(row)
            todo.extend(parts.values())
        else:
            pattern = "".join(GAP if len(words) > 1 else min(words) for words in values)
            yield _GAPS.sub(GAP, pattern), [form for form, _ in rows], free


def _is_kept(words: set[str]) -> bool:
    """Returns whether the words of a place distinguish kinds: they are few, levels or outcomes."""
    if len(words) < FEWEST and (GAP not in words or "0" in words) and not all(map(_NAME.search, words)):
        return True
    levels = {tuple(_LEVEL.findall(word)) for word in words}
    if len(levels) > 1 or any(len(level) > 1 for level in levels.pop()):
        return True
    return sum(_OUTCOME.fullmatch(word.strip(_MARKS)) is not None for word in words) > OUTCOMES * len(words)


def _is_free(values: Sequence[set[str]]) -> bool:
    """Returns whether two neighbouring words vary, or all words up to a colon."""
    last, shared, varies = -1, False, False
    for at, words in enumerate(values):
        if len(words) == 1:
            shared = shared or _LETTERS.search(min(words)) is not None
        elif sum(GAP not in word and _WORDED.search(word) is not None for word in words) > 1:
            if last == at - 2 and values[at - 1] == {" "}:
                return True
            last, varies = at, True
        if all(word.endswith(":") for word in words):
            shared = varies = False
    return varies and not shared
