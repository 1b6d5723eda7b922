"""What ``doctor`` found, printed as a screen of sentences or in detail."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.table import Table
from rich.text import Text

from engines.base import JsonObject
from mcp_server.cli.context import plain_console
from mcp_server.cli.survey import listed, title
from mcp_server.version import VERSION

TOPICS = {"project": "files", "settings": "settings", "token estimates": "tokens"}
"""Headings of findings among the sentences."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the detailed report."""

    ok: bool
    what: str
    found: str
    hint: str = ""
    says: str = ""
    """The same as a sentence; what works and has none is shown in detail only."""

    @property
    def topic(self) -> str:
        others = "labels" if self.what.startswith("labels of ") else "agents"
        return TOPICS.get(self.what, others)

    def sentence(self) -> str:
        said = self.says or f"{self.what}: {self.found}"
        return f"{said}; {self.hint}" if self.hint else said

    def as_json(self) -> JsonObject:
        return {"ok": self.ok, "what": self.what, "found": self.found, "hint": self.hint}


def print_details(findings: Sequence[Finding]) -> None:
    """Prints every finding and hint."""
    table = Table("", "", "", box=None, show_header=False, pad_edge=False)
    for finding in findings:
        mark = Text("ok", "green") if finding.ok else Text("--", "yellow")
        table.add_row(mark, finding.what, finding.found)
        if finding.hint:
            table.add_row("", "", Text(finding.hint, "dim"))
    plain_console().print(table)


def print_sentences(findings: Sequence[Finding], *, usable: bool) -> None:
    """Prints what a user needs to know, on one screen."""
    state = "works" if usable else "cannot answer yet"
    table, before = Table("", "", box=None, show_header=False, pad_edge=False), ""
    for topic, sentence in _sentences(findings, usable=usable):
        table.add_row("" if topic == before else topic, sentence)
        before = topic
    console = plain_console()
    console.print(f"local-llm-agent {VERSION} {state}")
    console.print(table)
    console.print("More: local-llm-agent doctor --details")


def _sentences(findings: Sequence[Finding], *, usable: bool) -> Iterator[tuple[str, str]]:
    """Yields topics and sentences."""
    engines = [each for each in findings if each.what.startswith("engine ")]
    tiers = [each for each in findings if each.what.startswith("tier ")]
    down = [each for each in engines if not each.ok]
    if usable:
        yield from (("model", sentence) for sentence in _models(tiers))
        yield from (("model", each.hint) for each in engines if each.ok and each.hint)
    if usable and down:
        names = [title(each.what.removeprefix("engine ")) for each in down]
        yield "engines", f"{listed(names)} {'are' if len(names) > 1 else 'is'} not used; the details say why"
    elif down:
        yield from (("engines", f"{each.found}; {each.hint}") for each in down)
    for each in findings:
        if each not in (*engines, *tiers) and (each.says or not each.ok):
            yield each.topic, each.sentence()


def _models(tiers: Sequence[Finding]) -> Iterator[str]:
    if all(each.ok for each in tiers) and len({each.says for each in tiers}) == 1:
        yield f"{tiers[0].says} answers every call"
        return
    for each in tiers:
        answer = each.says if each.ok else f"{each.found}; {each.hint}"
        yield f"{each.what.removeprefix('tier ')} calls: {answer}"
