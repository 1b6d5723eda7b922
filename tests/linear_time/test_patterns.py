"""No regular expression of ours takes time that grows faster than its text."""

import re
import time
from itertools import product

import pytest

from tests.linear_time.attacks import Attack, attacks
from tests.linear_time.patterns import Used, collected

PATTERNS, MADE = collected()

FIRST = ((24, 0.01), (300, 0.01), (3_000, 0.002))
"""Lengths, and the seconds from which a text is suspect: exponential, cubic, quadratic time."""
LENGTHS = (4_000, 16_000)
GROWTH = 8
"""Most growth from the first to the second length: 4 is linear, 16 is quadratic."""
LEAST_S = 0.03
"""Time of the longest text that is always allowed."""
BOUNDED = {"tools.summarize.extractive._TITLE": "reads 5,000 characters"}
KNOWN_MADE = (
    "tools.classify.orders",
    "tools.extract.formats.changelog",
    "tools.extract.formats.line_formats",
    "tools.sources.dates",
    "tools.sources.evidence",
    "tools.sources.ignore_patterns",
    "mcp_server.clients.toml_table",
)
"""Modules that build patterns from arguments: the values are collected, or their callers are timed."""


def seconds(pattern: re.Pattern[str] | re.Pattern[bytes], method: str, text: str) -> float:
    given = text if isinstance(pattern.pattern, str) else text.encode()
    if method in ("sub", "split", "findall"):
        method = "finditer"
    begun = time.thread_time()
    found = getattr(pattern, method)(given)
    if method == "finditer":
        for _ in found:
            pass
    return time.thread_time() - begun


def growing(used: Used, method: str, attack: Attack) -> str:
    """Returns how the time grows, if it grows too fast."""

    def least(length: int, times: int = 2) -> float:
        return min(seconds(used.pattern, method, attack.text(length)) for _ in range(times))

    for length, limit in FIRST:
        if seconds(used.pattern, method, attack.text(length)) > limit and least(length) > limit:
            if length < FIRST[-1][0]:
                return f"{least(length):.3f} s for {length} characters"
            short, long = (least(length, 3) for length in LENGTHS)
            return f"{short:.3f} s, {long:.3f} s" if long > max(LEAST_S, GROWTH * short) else ""
    return ""


def slow(used: Used) -> list[str]:
    methods = {"finditer" if method in ("sub", "split", "findall") else method for method in used.methods}
    tries = product(
        sorted(methods), attacks(used.text, used.pattern.flags & ~re.UNICODE, lines=used.sees_lines)
    )
    for method, attack in tries:
        if grown := growing(used, method, attack):
            return [f"{sorted(used.places)[:2]} {used.text[:150]!r} {method} {attack}: {grown}"]
    return []


@pytest.mark.parametrize("share", range(4))
def test_no_pattern_backtracks_further_than_linearly(share: int) -> None:
    mine = [used for used in PATTERNS[share::4] if not used.places & BOUNDED.keys()]
    assert [each for used in mine for each in slow(used)] == []


def test_all_patterns_are_collected() -> None:
    assert len(PATTERNS) > 500
    assert {place.partition(":")[0] for place in MADE} <= set(KNOWN_MADE)


@pytest.mark.parametrize(
    ("pattern", "method"),
    [
        (r"(a+)+b", "match"), (r"\s+$", "search"), (r"<!--.*?-->", "finditer"), (r"\s*#?\s*at", "match"),
        (r"(\w+): (\d+)", "finditer"), (r"x.*y.*z", "search"), (r"\[[^\]]+\]\(", "finditer"),
        (r"(?:a|ab)*c", "search"),
    ],
)  # fmt: skip
def test_a_pattern_that_backtracks_is_found(pattern: str, method: str) -> None:
    assert slow(Used(re.compile(pattern), {"here"}, {method}))


@pytest.mark.parametrize("pattern", [r"(?<!\s)\s++at", r"(?<!\w)(\w++): \d", r"[^.!?]{0,80}\."])
def test_a_linear_pattern_is_not_reported(pattern: str) -> None:
    assert slow(Used(re.compile(pattern), {"here"}, {"finditer"})) == []
