"""The catalogue of formats refuses at once what no program prints."""

import time

import pytest

from tools.extract.formats.catalog import parsed

GCC = "main.c:3:5: error: expected ';' before 'return'"


@pytest.mark.parametrize("line", ["\n", " \t\n"], ids=["empty", "of spaces"])
@pytest.mark.parametrize("before", ["", f"{GCC}\n"], ids=["at the start", "after a line of a format"])
def test_a_million_blank_lines_are_refused_within_a_second(before: str, line: str) -> None:
    parsed(GCC)  # compiles the patterns
    began = time.perf_counter()
    assert parsed(before + line * 1_000_000 + GCC) is None
    assert time.perf_counter() - began < 1


def test_a_report_may_have_some_blank_lines() -> None:
    report = parsed("\n" * 20 + f"{GCC}\n" + " \n" * 20 + GCC.replace(":3:", ":4:"))
    assert report is not None
    assert [record.values["line"] for record in report.records] == [3, 4]
    assert [record.first for record in report.records] == [21, 42]
