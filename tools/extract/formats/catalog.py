"""All parsers of known formats; a new one is a module beside this one, a line here, and a test."""

import re
from collections.abc import Sequence

from tools.extract.formats import (
    access_log,
    cargo_test,
    catch2,
    changelog,
    diagnostics,
    diff,
    dotnet_test,
    exunit,
    go_test,
    googletest,
    jest,
    json_lines,
    junit_console,
    junit_xml,
    mocha,
    node_test,
    phpunit,
    playwright,
    pytest_run,
    python_traces,
    ruby_tests,
    tables,
    tap,
    traces,
    unittest_run,
    vitest,
)
from tools.extract.formats.report import Parse, Report

_HUGE_NUMBER = re.compile(r"(?<!\d)\d{1000}")
"""No program prints a count or a line of so many digits, and Python refuses to read more than 4,300."""
_BLANK_RUN = re.compile(r"(?:\A|\S)(?:[^\S\n]*+\n){1000}")
"""No program prints so many blank lines in a row. Every format takes blank lines, so all would read them."""

PARSERS: Sequence[Parse] = (
    diagnostics.parse,
    pytest_run.parse,
    unittest_run.parse,
    python_traces.parse,
    go_test.parse,
    cargo_test.parse,
    jest.parse,
    vitest.parse,
    mocha.parse,
    playwright.parse,
    node_test.parse,
    tap.parse,
    junit_console.parse,
    junit_xml.parse,
    ruby_tests.parse,
    phpunit.parse,
    exunit.parse,
    dotnet_test.parse,
    googletest.parse,
    catch2.parse,
    traces.parse,
    changelog.parse,
    diff.parse,
    access_log.parse,
    json_lines.parse,
    tables.parse,
)


def parsed(text: str) -> Report | None:
    """Returns what the one parser that reads ``text`` found; ``None`` if none or several read it."""
    if _HUGE_NUMBER.search(text) or _BLANK_RUN.search(text):
        return None
    reports = [report for parse in PARSERS if (report := parse(text)) is not None]
    return reports[0] if len(reports) == 1 else None
