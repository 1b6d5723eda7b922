"""Parses tables with a header: Markdown, CSV, psql, MySQL, box drawing, columns of kubectl, docker and ps.

A table has two or more columns, and every row has a cell for each. Text around it, merged cells and cells
of several lines are not read.
"""

import csv
import re
from collections.abc import Iterable, Iterator, Sequence

from tools.extract.formats.report import Record, Report

_LONGEST_NAME = 40

_NAME = re.compile(r"[^\W\d][\w .%/#&-]*(?: ?\([\w $€£%/.-]*\))?|#|%[A-Z]+")
"""The name of a column; not a sentence or a value."""
_NUMBER = re.compile(r"[-+]?[$€£]?[\d.,]*\d ?%?")
_PIPE = re.compile(r"(?<!\\)\|")
_MARKDOWN_RULE = re.compile(r"\|?(?: *:?-++:? *\|)* *:?-++:? *\|?")
_BOX_RULE = re.compile(r"\+(?:[-=]++\+)+|-++(?:\+-++)+")
_RULE = re.compile(r"(?:-++|=++)(?: ++(?:-++|=++))+ *")
_WORDS = re.compile(r"\S++(?: \S++)*")
"""A cell of aligned columns: between two columns are two spaces or more."""
_COUNT = re.compile(r"\((\d{1,9}) rows?\)|(\d{1,9}) rows? in set\b.*")
_BOX = str.maketrans("│┃║─━═┌┬┐├┼┤└┴┘╭╮╰╯┏┳┓┣╋┫┗┻┛┡╇┩╔╦╗╠╬╣╚╩╝╞╪╡╟╫╢", "|||---" + "+" * 40)

_Row = tuple[int, int, list[str]]
"""First and last line, from 0, and cells. The first row of a table is its header."""


def parse(text: str) -> Report | None:
    """Reads a table into one record a row, under the names in its header."""
    lines = text.split("\n")
    filled = [index for index, line in enumerate(lines) if line.strip()]
    count = _COUNT.fullmatch(lines[filled[-1]].strip()) if filled else None
    if count:
        filled.pop()
    if not filled:
        return None
    start, stop = filled[0], filled[-1] + 1
    for name, rows in _readings(lines[start:stop], is_whole=stop - start == len(filled)):
        stated = int(count[1] or count[2]) if count else None
        if _is_table(rows, stated) and not (name == "table" and stated is None and _is_wrapped(rows)):
            return Report(name, _records(rows, start))
    return None


def _readings(lines: Sequence[str], *, is_whole: bool) -> Iterator[tuple[str, list[_Row]]]:
    """Yields what the lines are as tables of each kind; ``is_whole`` if no line between is blank."""
    if is_whole:
        yield "markdown table", _markdown(lines)
        for read in (_boxed, _ruled, _processes, _columns):
            yield "table", read(lines)
    for delimiter in "\t;,":
        yield "csv", _delimited(lines, delimiter)


def _is_table(rows: Sequence[_Row], stated: int | None) -> bool:
    """Returns whether the names differ, each row has all cells, and there are as many as stated."""
    if len(rows) < 2 and (stated is None or not rows):
        return False
    header = rows[0][2]
    regular = len(header) > 1 and all(len(cells) == len(header) for _, _, cells in rows)
    named = all(header) and len({cell.casefold() for cell in header}) == len(header)
    return regular and named and stated in (None, len(rows) - 1)


def _is_wrapped(rows: Sequence[_Row]) -> bool:
    """Returns whether a row may be the rest of a cell above: it has no first cell, or nothing else."""
    return any(not cells[0] or not any(cells[1:]) for _, _, cells in rows)


def _records(rows: Sequence[_Row], start: int) -> list[Record]:
    header = rows[0][2]
    return [
        Record(dict(zip(header, cells, strict=True)), start + first + 1, start + last + 1)
        for first, last, cells in rows[1:]
    ]


def _markdown(lines: Sequence[str]) -> list[_Row]:
    if len(lines) < 3 or "|" not in lines[0] or not _MARKDOWN_RULE.fullmatch(lines[1].strip()):
        return []
    rows = [(index, index, _cells(line)) for index, line in enumerate(lines)]
    return [rows[0], *rows[2:]] if len(rows[0][2]) == len(rows[1][2]) else []


def _cells(line: str) -> list[str]:
    """Splits a row at its pipes, without those at its ends."""
    line = line.strip().removeprefix("|")
    if line.endswith("|") and not line.endswith("\\|"):
        line = line[:-1]
    return [cell.strip().replace("\\|", "|") for cell in _PIPE.split(line)]


def _boxed(lines: Sequence[str]) -> list[_Row]:
    """Reads ``a | b`` under a header with a rule like ``---+---``, with or without a frame."""
    drawn = [line.translate(_BOX).strip() for line in lines]
    if len(drawn) > 2 and "|" not in drawn[0] and _BOX_RULE.fullmatch(drawn[2]) and drawn[0][0] != "+":
        drawn[0] = ""  # A title, as psql prints above its lists.
    rules = [index for index, line in enumerate(drawn) if _BOX_RULE.fullmatch(line)]
    rows = [(index, index, _cells(line)) for index, line in enumerate(drawn) if line and index not in rules]
    if not rules or not rows or any(line.endswith(("+|", " +")) or "+|" in line for line in drawn):
        return []
    framed = rules[:2] == [0, 2] and rules[-1] == len(lines) - 1
    ruled = len(rules) == 3 or rules == list(range(0, len(lines), 2))
    return rows if (framed and ruled) or rules == [rows[0][0] + 1] else []


def _ruled(lines: Sequence[str]) -> list[_Row]:
    """Reads columns whose places a rule like ``---- ----`` shows."""
    rules = [index for index, line in enumerate(lines) if _RULE.fullmatch(line)]
    if rules not in ([1], [0, 2, len(lines) - 1]):
        return []
    starts = [match.start() for match in re.finditer(r"\S++", lines[rules[0]])]
    return [(index, index, _sliced(line, starts)) for index, line in enumerate(lines) if index not in rules]


def _sliced(line: str, starts: Sequence[int]) -> list[str]:
    """Cuts a line at ``starts``; empty if a cell goes across one."""
    if "\t" in line or any(line[start - 1 : start].strip() for start in starts[1:]):
        return []
    ends = [*starts[1:], len(line)]
    return [line[start:end].strip() for start, end in zip(starts, ends, strict=True)]


def _processes(lines: Sequence[str]) -> list[_Row]:
    """Reads ``ps``: single words, and a command at the end."""
    header = lines[0].split()
    if "PID" not in header or header[-1] not in ("CMD", "COMMAND", "ARGS") or "STARTED" in header:
        return []
    return [(index, index, line.split(None, len(header) - 1)) for index, line in enumerate(lines)]


def _columns(lines: Sequence[str]) -> list[_Row]:
    """Reads columns that begin where their names do, with two spaces or more between the names."""
    words = list(_WORDS.finditer(lines[0]))
    starts = [word.start() for word in words]
    if (
        len(words) < 2
        or not (lines[0].isupper() or len(words) > 2)
        or not _are_names(word[0] for word in words)
    ):
        return []
    rows = [(index, index, _sliced(line, starts)) for index, line in enumerate(lines)]
    aligned = all(_begins_at(line, starts) for line in lines)
    return rows if aligned and not any("  " in cell for _, _, cells in rows for cell in cells) else []


def _begins_at(line: str, starts: Sequence[int]) -> bool:
    """Returns whether all cells of a line begin at ``starts``."""
    ends = [*starts[1:], len(line)]
    cells = (line[start:end] for start, end in zip(starts, ends, strict=True))
    return not line[: starts[0]].strip() and all(not cell.strip() or cell[0] != " " for cell in cells)


def _delimited(lines: Sequence[str], delimiter: str) -> list[_Row]:
    """Reads CSV and the like. Commas with spaces are prose, unless a column is of numbers."""
    if delimiter not in lines[0]:
        return []
    reader = csv.reader(
        (f"{line}\n" for line in lines), delimiter=delimiter, skipinitialspace=True, strict=True
    )
    rows: list[_Row] = []
    before = 0
    try:
        for cells in reader:
            if cells:
                rows.append((before, reader.line_num - 1, [cell.strip() for cell in cells]))
            before = reader.line_num
    except csv.Error:
        return []
    columns = list(zip(*(cells for _, _, cells in rows), strict=False))
    is_prose = f"{delimiter} " in lines[0] and not any(map(_is_numeric, columns))
    repeated = any(name in values for name, *values in columns)
    return rows if _are_names(rows[0][2]) and not is_prose and not repeated else []


def _is_numeric(column: Sequence[str]) -> bool:
    return all(_NUMBER.fullmatch(value) for value in column[1:])


def _are_names(header: Iterable[str]) -> bool:
    return all(
        len(name) <= _LONGEST_NAME and _NAME.fullmatch(name) and not ("/" in name and "." in name)
        for name in header
    )
