"""Kinds of log lines."""

import random
import re
import time
import tracemalloc
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.sources import kinds
from tools.sources.kinds import GAP, Kind, TooManyKindsError, kinds_of

USERS = ["amelia", "bruno", "chen", "dolores", "emeka", "farah", "goran", "hana"]
WORDS = ["the", "server", "lost", "a", "disk", "while", "nobody", "looked", "so", "every", "report", "came"]
TEMPLATES = (
    "INFO  [http-{n}] GET /api/orders/{n} 200 {n}ms",
    "ERROR [http-{n}] GET /api/orders/{n} 502 {n}ms",
    "DEBUG [cache] hit key=order:{n} ttl={n}s",
    "DEBUG [cache] miss key=order:{n}",
    "INFO  [auth] user {user} logged in from 10.{n}.{n}.1",
    "WARN  [auth] {n} failed logins for user {user} from 10.{n}.{n}.1",
    "WARN  [disk] volume /var/lib/shop is {n}% full",
    "INFO  [worker-{n}] job {hex} started",
    "INFO  [worker-{n}] job {hex} stopped",
    "FATAL [main] cannot bind to port {n}: address already in use",
)


def log(count: int, seed: int = 1) -> Iterator[str]:
    pick = random.Random(seed)
    for second in range(count):
        form = TEMPLATES[pick.randrange(len(TEMPLATES))]
        n, user = pick.randint(1, 255), pick.choice(USERS)
        clock = f"{second // 3600 % 24:02}:{second // 60 % 60:02}:{second % 60:02}"
        yield f"2026-03-04 {clock},{n:03} " + form.format(n=n, user=user, hex=f"{pick.getrandbits(32):08x}")


def sentence(pick: random.Random) -> str:
    return " ".join(pick.choices(WORDS, k=pick.randint(3, 12)))


def patterns(lines: list[str]) -> list[str]:
    return [kind.pattern for kind in kinds_of(lines)]


def partition(found: list[Kind]) -> set[tuple[int, ...]]:
    return {tuple(kind.members) for kind in found}


def matches(pattern: str, line: str) -> bool:
    """Returns whether ``line`` is ``pattern`` with any text in its gaps."""
    first, *parts = pattern.split(GAP)
    text = " ".join(line.split())
    if not parts or not text.startswith(first):
        return text == first
    at = len(first)
    for part in parts[:-1]:
        at = text.find(part, at) + len(part)
        if at < len(part):
            return False
    return text.endswith(parts[-1]) and len(text) - len(parts[-1]) >= at


def seconds(lines: list[str]) -> float:
    def once() -> float:
        start = time.perf_counter()
        kinds_of(lines)
        return time.perf_counter() - start

    return min(once() for _ in range(3))


def test_each_template_is_one_kind_with_a_readable_pattern() -> None:
    assert sorted(patterns(list(log(3000)))) == sorted(
        (
            "… INFO [http-…] GET /api/orders/… 200 …ms",
            "… ERROR [http-…] GET /api/orders/… 502 …ms",
            "… DEBUG [cache] hit key=order:… ttl=…s",
            "… DEBUG [cache] miss key=order:…",
            "… INFO [auth] user … logged in from …",
            "… WARN [auth] … failed logins for user … from …",
            "… WARN [disk] volume /var/lib/shop is …% full",
            "… INFO [worker-…] job … started",
            "… INFO [worker-…] job … stopped",
            "… FATAL [main] cannot bind to port …: address already in use",
        )
    )


def test_kinds_come_in_the_order_of_their_first_lines() -> None:
    found = kinds_of(log(3000))
    assert [kind.members[0] for kind in found] == sorted(kind.members[0] for kind in found)


@pytest.mark.parametrize(
    "figure",
    [
        "7e7cc42f-3cb9-4d91-804c-abcdefabcdef",
        "de:ad:be:ef:00:ff",
        "2001:db8:85a3:0:0:8a2e:370:7334",
        "192.168.0.1:8080",
        "0xdeadbeef",
        "9f4ef63",
        "-12.5",
        "3.5 KB",
        "Sun Dec 04 04:47:44 2005",
        "10/Oct/2000:13:55:36 -0700",
        "2026-03-04T08:00:02.732+01:00",
    ],
)
def test_a_figure_is_one_gap(figure: str) -> None:
    assert patterns([f"value {figure} was read"]) == ["value … was read"]


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ('10.0.0.1 - - [10/Oct/2000:13:55:36] "GET /a/{n} HTTP/1.1" {word} 17', "200 404 502"),
        ('"status":{word},"size":{n}', "200 404 503"),
        ("INFO request {n} ended status={word} in 7 ms", "200 404 500"),
        ("{word}: disk {n}", "ERROR WARN INFO"),
        ("[{word}] disk {n}", "error notice warn"),
        ("level={word} disk={n}", "error info debug"),
        ("{word}0304 12:00:01 disk {n}", "E W I"),
        ("\x1b[31m{word}\x1b[0m disk {n}", "ERROR INFO DEBUG"),
        ("job {n} {word}", "failed finished aborted"),
        ("state of job {n} is {word}", "RUNNING KILLED QUEUED"),
        ("cache {word} of key {n}", "hit miss"),
    ],
)
def test_levels_outcomes_and_statuses_stay_apart(form: str, words: str) -> None:
    lines = [form.format(word=word, n=n) for n in range(1, 10) for word in words.split()]
    found = kinds_of(lines)
    assert len(found) == len(words.split())
    assert all(word in kind.pattern for word, kind in zip(words.split(), found, strict=True))


@pytest.mark.parametrize(
    "form", ["job exited with code {n}", "exit={n} of job", "status={n}/X", "done: {n} failed"]
)
def test_success_stays_apart_from_failure(form: str) -> None:
    found = kinds_of([form.format(n=n) for n in (0, 1, 0, 137, 2, 0)])
    assert [list(kind.members) for kind in found] == [[0, 2, 5], [1, 3, 4]]


def test_names_and_paths_in_one_place_are_one_kind() -> None:
    assert patterns([f"user {name} left the room" for name in USERS]) == ["user … left the room"]
    assert patterns([f"volume {path} is full now" for path in ("/var/log", "/home")]) == [
        "volume … is full now"
    ]


def test_few_distinct_messages_after_a_colon_are_kinds_of_their_own() -> None:
    lines = [f"kernel: {message}" for message in ("out of memory", "link is down", "disk was found") * 40]
    assert len(kinds_of(lines)) == 3


@pytest.mark.parametrize(
    "form", ["INFO user {} said: {}", 'INFO user {} sent "{}" to all', "job {} broke: {}"]
)
def test_free_text_is_one_varied_kind(form: str) -> None:
    pick = random.Random(1)
    lines = [form.format(pick.choice(USERS), sentence(pick)) for _ in range(300)]
    [kind] = kinds_of([*lines, *lines[:10]])
    assert kind.varied
    assert kind.pattern == form.format(GAP, GAP)


def test_names_and_figures_are_not_free_text() -> None:
    assert not any(kind.varied for kind in kinds_of(log(3000)))


def test_free_text_does_not_hide_a_level_word() -> None:
    pick = random.Random(1)
    lines = [f"job {n} ended: {sentence(pick)}{' ERROR' * (n % 2)} {sentence(pick)}" for n in range(600)]
    assert sorted(patterns(lines)) == ["job … ended: …", "job … ended: …ERROR…"]


_WORD = st.sampled_from(
    ["ERROR", "info", "disk", "user", "bob", "eve", "mallory", "17", "a1", "/x/y", "k=v", "x:", "(", "…", "é"]
)
_LINES = st.lists(st.one_of(st.lists(_WORD, max_size=6).map(" ".join), st.text(max_size=30)), max_size=60)


@given(_LINES)
def test_every_line_is_in_one_kind_whose_pattern_matches_it(lines: list[str]) -> None:
    found = kinds_of(lines)
    assert sorted(index for kind in found for index in kind.members) == list(range(len(lines)))
    assert all(matches(kind.pattern, lines[index]) for kind in found for index in kind.members)
    assert len({kind.pattern for kind in found}) == len(found)


@given(_LINES, st.randoms(use_true_random=False))
def test_the_order_of_the_lines_does_not_matter(lines: list[str], pick: random.Random) -> None:
    order = list(range(len(lines)))
    pick.shuffle(order)
    shuffled = kinds_of(lines[index] for index in order)
    back = {tuple(sorted(order[index] for index in kind.members)) for kind in shuffled}
    assert back == partition(kinds_of(lines))


@given(_LINES)
def test_lines_of_one_kind_have_the_same_level_words(lines: list[str]) -> None:
    for kind in kinds_of(lines):
        assert len({tuple(re.findall(r"\bERROR\b", lines[index])) for index in kind.members}) == 1


def test_a_pattern_matches_the_lines_of_its_kind_only() -> None:
    lines = list(log(1000))
    for kind in kinds_of(lines):
        assert [index for index, line in enumerate(lines) if matches(kind.pattern, line)] == list(
            kind.members
        )


def test_merging_early_for_lack_of_room_finds_the_same_kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    pick = random.Random(1)
    names = ["".join(pick.choices("abcdefghijklmnopqrstuvwxyz", k=8)) for _ in range(1000)]
    lines = [*log(500), *(f"INFO user {name} left the room" for name in names)]
    lines += [f"ERROR job {n} broke: {sentence(pick)}" for n in range(1000)]
    whole = partition(kinds_of(lines))
    monkeypatch.setattr(kinds, "ROOM", 12_000)
    assert partition(kinds_of(lines)) == whole


def test_lines_that_are_not_alike_are_given_up_in_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    pick = random.Random(1)
    lines = (
        " ".join("".join(pick.choices("abcdefghijklm", k=6)) for _ in range(14)) for _ in range(1_000_000)
    )
    monkeypatch.setattr(kinds, "ROOM", 200_000)
    tracemalloc.start()
    with pytest.raises(TooManyKindsError, match="kinds in 2,0"):
        kinds_of(lines)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 15e6


@pytest.mark.parametrize(
    "unit",
    ["a", "1", "A. ", "A: ", '"a b" ', "a1", "f", "-_", "Mon ", "status=", "GET ", "…", "::", "( ", "\u00a0"],
)
def test_time_is_linear_in_the_length_of_adversarial_lines(unit: str) -> None:
    def lines(size: int) -> list[str]:
        return [unit * (size // len(unit)) + end for end in ("!", "x", " 7", ' "', " y")]

    assert seconds(lines(2_000_000)) < 3 * seconds(lines(1_000_000)) + 0.05


def test_a_hundred_thousand_lines_take_seconds_and_little_memory() -> None:
    start = time.perf_counter()
    assert len(kinds_of(log(100_000))) == len(TEMPLATES)
    assert time.perf_counter() - start < 20
    tracemalloc.start()
    kinds_of(log(100_000))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 30e6


def test_no_lines_have_no_kinds() -> None:
    assert kinds_of([]) == []
