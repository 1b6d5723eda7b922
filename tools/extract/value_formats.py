"""Formats of values in text and in answers: dates, versions, addresses, counts, places in code.

The patterns and cue words are general knowledge of notations (ISO 8601, everyday forms of RFC 3986 and 5322,
semantic versions, words used in identifiers), written for this file and taken from no data set.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date

from engines.base import JsonValue
from tools.extract.fields import Field
from tools.extract.values import Found

Reading = Callable[[re.Match[str], Field], JsonValue]


@dataclass(frozen=True, slots=True)
class Kind:
    name: str
    pattern: re.Pattern[str]
    cues: frozenset[str]
    """Words in a field's name that mean this kind."""
    types: frozenset[str]
    read: Reading
    telling: bool = True
    """Whether a value is recognisable without a label: a date is, a number is not."""

    def find(self, text: str, field: Field, start: int = 0, end: int | None = None) -> Iterator[Found]:
        for match in self.pattern.finditer(text, start, len(text) if end is None else end):
            value = self.read(match, field)
            if value is not None:
                yield Found(value, *match.span(value_group(match)))


def value_group(match: re.Match[str]) -> int:
    """Returns the group with the value: the first unnamed group that matched, or the whole match."""
    named = match.re.groupindex.values()
    return next((g for g in range(1, match.re.groups + 1) if g not in named and match[g] is not None), 0)


MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?"
    r"|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\b\.?"
)
_DAY = r"\d{1,2}(?:st|nd|rd|th)?"
_DATE = (
    r"(?<![\w.-])(?:\d{4}(?P<sep>[-/.])\d{1,2}(?P=sep)\d{1,2}|\d{1,2}(?P<cut>[-/.])\d{1,2}(?P=cut)(?:\d{4}|\d\d(?!\d))"
    rf"|{_MONTH} {_DAY},? \d{{4}}|{_DAY}\.?(?: of |[ -]){_MONTH},?[ -]\d{{4}})(?!\d)"
)
_FEW = "(?:\\d+|a|an|a few|one|two|three|four|five|six|seven|eight|nine|ten)"
_WEEKDAY = "(?:mon|tues|wednes|thurs|fri|satur|sun)day"
_CLOCK = r"\d{1,2}:\d\d(?::\d\d(?:[.,]\d+)?)?(?: ?[ap]\.?m\b\.?)?(?:Z| ?(?:UTC|GMT)|[-+]\d\d:?\d\d)?"
# English words for times.
_MOMENT = (
    rf"\b(?:(?:next|this|last|coming|following) (?:week(?:end)?|month|year|morning|afternoon|evening|night"
    rf"|summer|winter|spring|fall|autumn|{_WEEKDAY})"
    rf"|(?:(?:in|within) )?{_FEW} (?:second|minute|hour|day|week|month|year|decade)s?"
    rf"(?: (?:from now|ago|later))?|to(?:day|night|morrow)|yesterday|noon|midnight|right now"
    rf"|{_WEEKDAY}(?: (?:morning|afternoon|evening|night))?"
    rf"|{_MONTH} (?:the )?(?:{_DAY}|first|second|third|\w{{2,12}}th)\b(?:,? \d{{4}})?"
    rf"|\d{{1,2}}(?::\d\d)? ?[ap]\.?m\b|{_FEW} o'?clock)\b|(?<![\w:.]){_CLOCK}(?![\w:])|{_DATE}"
)
_RANK = (
    r"\b(?:best|top(?:[- ]rated)?|(?:highest|highly|lowest|most|least)[- ]\w+|popular|latest"
    r"|(?!(?:west|east|rest|test|guest|forest|interest|request|nearest|closest)\b)\w{3,12}est)\b"
)
_NEARNESS = (
    r"\b(?:near(?:est|by)?(?: to)?|clos(?:e|est)(?: by| to)?|around here|(?:with)?in walking distance"
    r"|in the (?:area|neighbou?rhood)|next to|far from)\b"
)
NUMBER_WORDS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen"
    " sixteen seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred"
)


def _as_is(match: re.Match[str], field: Field) -> JsonValue:
    return match[value_group(match)].strip()


def _whole(match: re.Match[str], field: Field) -> JsonValue:
    return match[0].strip().rstrip(".,;:")


def _phone(match: re.Match[str], field: Field) -> JsonValue:
    """Accepts seven to fifteen digits (E.164); many in one piece are another kind of number."""
    number = match[0].strip().rstrip(".,;:")
    digits = sum(character.isdigit() for character in number)
    return number if 7 <= digits <= (12 if number.isdigit() else 15) else None


def _code(match: re.Match[str], field: Field) -> JsonValue:
    return match[0].lstrip("#")


def _integer(match: re.Match[str], field: Field) -> JsonValue:
    return int(re.sub(r"[^\d-]", "", match[value_group(match)]) or 0)


def _number(match: re.Match[str], field: Field) -> JsonValue:
    """Returns the number, or its digits as written if the field is text."""
    written = match[0].strip()
    if field.type == "string":
        return written
    digits = re.sub(r"[^\d.,-]", "", written).strip(".,")
    if re.fullmatch(r"-?\d{1,3}(?:\.\d{3})+,\d+|-?\d+,\d{1,2}", digits):
        digits = digits.replace(".", "").replace(",", ".")
    value = float(digits.replace(",", ""))
    if field.type == "integer":
        return None if "." in digits else int(value)
    return int(value) if value.is_integer() and "." not in digits else value


def _date(match: re.Match[str], field: Field) -> JsonValue:
    written = match[0].strip()
    if field.format != "date" and not re.search(r"y{4}-mm-dd|iso", field.about, re.IGNORECASE):
        return written
    return iso(written)


def iso(text: str) -> str | None:
    """Returns a date as ``YYYY-MM-DD``; if either number could be the day, the second is, as in the USA."""
    numbers = [int(number) for number in re.findall(r"\d+", text)]
    named = re.search(_MONTH, text, re.IGNORECASE)
    if named and len(numbers) == 2:
        year, month, day = max(numbers), MONTHS.index(named[0].lower()[:3]) + 1, min(numbers)
    elif len(numbers) == 3 and numbers[0] > 31:
        year, month, day = numbers
    elif len(numbers) == 3:
        month, day, year = numbers
        if month > 12 or "." in text:
            month, day = day, month
        year += 2000 if year < 100 else 0
    else:
        return None
    try:
        return date(year, month, day).isoformat()
    except ValueError:
        return None


def _kind(
    name: str,
    pattern: str,
    cues: str,
    read: Reading = _as_is,
    types: str = "string",
    *,
    telling: bool = True,
    capitals: bool = False,
) -> Kind:
    """Makes a kind; ``capitals``: the pattern is case-sensitive."""
    expression = re.compile(pattern, re.MULTILINE if capitals else re.MULTILINE | re.IGNORECASE)
    return Kind(name, expression, frozenset(cues.split()), frozenset(types.split()), read, telling)


_FILES = (
    "py|pyi|js|mjs|jsx|ts|tsx|go|rs|rb|java|kt|c|cc|cpp|h|hpp|cs|php|swift|scala|sh|sql|html|css|md|rst|txt|json"
    "|ya?ml|toml|ini|cfg|conf|csv|tsv|log|xml|pdf|png|jpe?g|zip|gz|lock|env|proto|ex|exs|vue"
)
_LEVELS = "DEBUG|INFO|WARN|WARNING|ERROR|CRITICAL|FATAL|TRACE|NOTICE"
_CODES = "USD|EUR|GBP|JPY|CHF|CAD|AUD|CNY|INR|SEK|NOK|DKK|PLN|CZK|BRL|MXN"
_RAISED = "Error|Exception|Warning|Interrupt|Exit|Fault|Failure"

# Every repetition is bounded or begins at a word border, so a single endless word takes linear time.
KINDS: tuple[Kind, ...] = (
    _kind("email", r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}", "email mail", _whole),
    _kind(
        "url",
        r"\b(?:https?|ftp|ssh|git)://[^\s<>\"'`)\]]+|\bwww\.[^\s<>\"'`)\]]+",
        "url uri link website homepage href webpage site",
        _whole,
    ),
    _kind("datetime", rf"{_DATE}[T ,]+{_CLOCK}", "timestamp datetime", _whole),
    _kind(
        "date",
        _DATE,
        "date day birthday birth dob deadline released published created updated expires expiry expiration"
        " due dated",
        _date,
    ),
    _kind("time", rf"(?<![\w:.]){_CLOCK}(?![\w:])", "time clock hour", _whole),
    _kind("moment", _MOMENT, "when period range moment schedule", _whole),
    _kind("rank", _RANK, "sort ranking superlative", capitals=True),
    _kind("nearness", _NEARNESS, "spatial proximity distance"),
    _kind("uuid", r"\b[\da-f]{8}-(?:[\da-f]{4}-){3}[\da-f]{12}\b", "uuid guid"),
    _kind(
        "ip",
        r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w.])"
        r"|(?<![\w:])(?=[\d:]{0,40}(?:[a-f]|::)|(?:\d+:){7})(?:[\da-f]{0,4}:){2,7}[\da-f]{1,4}(?![\w:])",
        "ip ipv4 ipv6 client",
    ),
    _kind(
        "commit",
        r"(?<![\w-])(?=[a-f]*\d)[\da-f]{7,64}(?![\w-])",
        "commit hash sha sha1 sha256 digest checksum revision",
        telling=False,
    ),
    _kind("cve", r"\b(?:CVE-\d{4}-\d{4,9}|GHSA(?:-\w{4}){3})\b", "cve vulnerability advisory", capitals=True),
    _kind(
        "phone",
        r"(?<![\w.-])\+?\(?\d{1,4}\)?(?:[ ./-]?\(?\d{2,4}\)?){2,4}(?:(?: ?x| ?ext\.?)\s?\d+)?(?![\w-])",
        "phone telephone tel mobile cell fax",
        _phone,
    ),
    _kind(
        "version",
        r"(?<![\w.@/])v?(\d+(?:\.\d+){1,5}"
        r"(?:[-.+]?(?:a|b|c|rc|alpha|beta|dev|post|pre|preview|final|snapshot)[-.]?\d*)?(?:[-+][\da-z][\w.+-]{0,40})?)(?!\w)"
        r"|(?<=\bversion )v?(\d+\w*)\b",
        "version release semver",
    ),
    _kind(
        "path",
        r"(?<![\w:/.@+-])(?:~|\.{1,2}|[A-Z]:)?(?:[\\/]?[\w.@+-]{1,80}[\\/]){1,30}[\w.@+-]{0,80}\w"
        rf"|(?<![\w/@.-])[\w-]{{1,80}}(?:\.[\w-]{{1,40}}){{0,4}}\.(?:{_FILES})\b",
        "path file filename filepath directory folder dir script",
        _whole,
    ),
    _kind(
        "line",
        r"(?<=[\w)]:)(\d+)(?=[:\s,)]|$)|\bline (\d+)\b|\((\d+),\d+\)|#L(\d+)\b",
        "line lineno",
        _integer,
        "integer",
    ),
    _kind(
        "column",
        r"(?<=\d:)(\d+)(?=[:\s)]|$)|\bcol(?:umn)? (\d+)\b|\(\d+,(\d+)\)",
        "column col",
        _integer,
        "integer",
    ),
    _kind(
        "reference",
        r"(?<![\w.&-])(?:[\w.-]{1,60}/[\w.-]{1,60})?#(\d+)\b|\bGH-(\d+)\b"
        r"|/(?:issues|pull|pulls|merge_requests)/(\d+)\b"
        r"|\b(?:issues?|pr|pull|pull request|bug|ticket|mr|gh)[}:]{0,3}[` #:]{1,4}(\d+)\b|(?<=[(\s])!(\d+)\b",
        "reference issue pull pr ticket bug ref",
        _integer,
        "integer",
    ),
    _kind(
        "ticket",
        r"\b[A-Z][A-Z\d]{1,15}-\d+\b|(?<!\w)#\d+\b|\bGH-\d+\b",
        "ticket jira issue",
        capitals=True,
    ),
    _kind(
        "error",
        rf"(?<![\w.])(?:[A-Za-z_]\w{{0,60}}\.){{0,12}}([A-Z]\w{{0,80}}?(?:{_RAISED})|StopIteration)\b"
        r"|\b(E(?:ACCES|ADDRINUSE|CONNREFUSED|CONNRESET|NOENT|PERM|PIPE|EXIST|TIMEDOUT))\b"
        r"|\berror\[(E\d+)\]|\b(TS\d{4,6})\b",
        "error exception exc",
        capitals=True,
    ),
    _kind(
        "message",
        rf"(?:(?<!\w)\w{{0,80}}?(?:{_RAISED})|\b(?:error|fatal|panic|warning|note)(?:\[\w+\])?): +(\S.*?)\s*$"
        rf"|\b(?:{_LEVELS})\b\]?(?: *[-:|])? +(?:\[?[\w.]{{1,80}}\]?(?: *[-:|]) +)?(\S.*?)\s*$",
        "message msg reason",
        capitals=True,
    ),
    _kind(
        "level",
        rf"\b(?:{_LEVELS})\b|\[(debug|info|warn|warning|error|fatal)\]|\blevel=\"?(\w+)",
        "level severity loglevel",
        capitals=True,
    ),
    _kind("method", r"\b(?:GET|POST|PUT|PATCH|DELETE|HEAD|OPTIONS)\b", "method verb", capitals=True),
    _kind(
        "test",
        r"(?<![\w./-])[\w./-]{1,200}?\.py(?:::[\w<>-]{1,120}(?:\[[^\]\n]{0,200}\])?){1,6}"
        r"|\b(?:Test[A-Z_]\w{0,80}|test_\w{1,120})(?:\.\w{1,120})?(?:/[\w#]{1,80}){0,6}\b"
        r"|(?<=test )[\w:]{1,200}(?= \.\.\.)",
        "test testcase case",
        capitals=True,
    ),
    _kind("currency", rf"[$€£¥₹]|\b(?:{_CODES})\b", "currency", capitals=True),
    _kind(
        "percent",
        r"(?<![\w.])[-+]?\d+(?:[.,]\d+)? ?(?:%|percent\b)",
        "percent percentage coverage pct",
        _number,
        "string number integer",
    ),
    _kind(
        "money",
        rf"(?<![\w.])[-+]?(?:[$€£¥₹]|(?:{_CODES}) ?)\s?\d[\d,.']*(?<![,.'])(?:k|m|bn)?\b"
        rf"|(?<![\w.,/-])[-+]?\d[\d,.']*(?<![,.'])(?= ?(?:[$€£¥₹]|(?:{_CODES})\b))"
        r"|(?<![\w.,/:-])[-+]?\d{1,3}(?:[,.' ]?\d{3})*[.,]\d\d(?![\w.,/:%-])",
        "amount price total cost subtotal tax vat fee balance salary revenue paid discount shipping net"
        " gross",
        _number,
        "string number integer",
    ),
    _kind(
        "status",
        r"\bHTTP/\d(?:\.\d)? (\d{3})\b|\" (\d{3})(?= )|\bstatus(?:[ _]code)?[\"']?[:= ]{1,3}(\d{3})\b",
        "status",
        _integer,
        "integer",
    ),
    _kind("year", r"(?<![\w.-])(?:19|20)\d\d(?![\w-])", "year", _number, "string integer number"),
    _kind(
        "postcode",
        r"\b\d{5}(?:-\d{4})?\b|\b[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2}\b",
        "zip zipcode postcode postal plz",
        capitals=True,
    ),
    _kind(
        "package",
        r"(?<![\w@/.-])@?[a-z][\w.-]{0,80}(?:/[\w.-]{1,80})?(?=(?:==|>=|<=|~=|@|\s+v?)\d)",
        "package dependency library",
        capitals=True,
    ),
    _kind(
        "number",
        r"(?<![\w.,:/#-])[-+]?\d+(?:[,_]\d{3})*(?:\.\d+)?(?:(?=[a-z%]{1,3}\b)|(?![\w./:-]*\w))",
        "",
        _number,
        "integer number",
        telling=False,
    ),
    _kind(
        "code",
        r"(?<![\w/.-])#?(?=[A-Z./-]*\d)[A-Z\d](?:[\w./-]{0,60}\w)?"
        rf"|\b(?:{NUMBER_WORDS.replace(' ', '|')})\b",
        "id identifier number no code sku isbn serial account order invoice key count quantity size rating",
        _code,
        telling=False,
    ),
)
