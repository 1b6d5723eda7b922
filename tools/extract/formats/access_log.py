"""Parses access logs in the Common and Combined Log Formats, as of Apache, nginx and Gunicorn."""

import re

from engines.base import JsonValue
from tools.extract.formats.report import Record, Report

_TEXT = r"(?:[^\"\\]|\\.)*+"
# Possessive repetitions keep a line that does not match from being tried again and again.
_LINE = re.compile(
    r"(?:[\w.-]++:\d+ )?"  # the virtual host of vhost_combined
    r"(?P<ip>[\w.:%-]++) \S++ (?P<user>\S++) \[(?P<time>\d[^\[\]]*+)\] "
    rf"\"(?P<request>{_TEXT})\" (?P<status>\d{{3}}) (?P<bytes>\d{{1,18}}|-)"
    rf"(?: \"(?P<referrer>{_TEXT})\" \"(?P<user_agent>{_TEXT})\"(?: (?:\"{_TEXT}\"|[^\s\"]\S*+))*+)?"
)


def parse(text: str) -> Report | None:
    """Reads an access log into one record a line."""
    records: list[Record] = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        match = _LINE.fullmatch(line.strip())
        if not match:
            return None
        records.append(Record(_values(match), number, number))
    return Report("access log", records) if records else None


def _values(match: re.Match[str]) -> dict[str, JsonValue]:
    """Returns the values of a line; ``-`` stands for none, and for a body of no bytes."""
    values: dict[str, JsonValue] = {name: match[name] for name in ("ip", "user", "time")}
    values |= _request(match["request"])
    values |= {"referrer": match["referrer"], "user_agent": match["user_agent"]}
    values = {name: value for name, value in values.items() if value not in (None, "", "-")}
    size = match["bytes"]
    return values | {"status": int(match["status"]), "bytes": 0 if size == "-" else int(size)}


def _request(request: str) -> dict[str, JsonValue]:
    """Splits a request line; empty for one that is not HTTP, such as a TLS handshake."""
    method, _, rest = request.partition(" ")
    if not (method.isupper() and method.replace("-", "").isalpha() and rest):
        return {}
    path, _, protocol = rest.rpartition(" ")
    if path and protocol.startswith("HTTP/"):
        return {"method": method, "path": path, "protocol": protocol}
    return {"method": method, "path": rest}
