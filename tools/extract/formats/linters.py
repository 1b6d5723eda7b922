"""Table of the linters and type checkers whose output is read, the more specific formats first."""

from tools.extract.formats.line_formats import CARET, FILE, NUMBER, OTHER_PLACE, PATH, PLACE, Format

_RULE = r"[\w@/.-]+"
_SNIFF = r"\w+(?:\.\w+){2,3}"
"""A code of PHP_CodeSniffer: standard, category, sniff and error."""
_RUFF_CODE = r"[A-Z]{1,10}\d{1,5}|[a-z]+(?:-[a-z0-9]+)+(?=:)"
"""A code, or in preview mode and for syntax errors a name."""
_RUFF_SUMMARY = (
    rf"Found (?P<total>{NUMBER}) errors?\.",
    rf"Found {NUMBER} errors? \({NUMBER} fixed, (?P<total>{NUMBER}) remaining\)\.",
    r"All checks passed!",
)
_RUFF_NOISE = (
    rf"\[\*\] {NUMBER} (?:potentially )?fixable .*|No fixes available .*|{NUMBER} (?:hidden|unsafe) fix.*"
    r"|warning: .*|\d+ files? (?:left unchanged|already formatted)"
)
_PROBLEMS = (
    rf"(?:[✖×] )?(?P<total>{NUMBER}) problems?"
    rf"(?: \((?P<errors>{NUMBER}) errors?, (?P<warnings>{NUMBER}) warnings?\))?"
)


def _stylish(name: str, severity: str) -> Format:
    """Returns ESLint's default format, which others print with their own signs of severity."""
    return Format(
        name,
        record=rf" *(?P<line>{NUMBER}):(?P<column>{NUMBER}) +(?P<severity>{severity}):? +"
        rf"(?P<message>\S.*?)(?:(?<! ) {{2,}}(?P<code>{_RULE}))?",
        heading=r"(?P<file>\S.*)",
        summary=(_PROBLEMS,),
        noise=r" *\d+ (?:errors?|warnings?) .*potentially fixable .*"
        r"|info  - Need to disable some ESLint rules\? .*",
    )


LINTERS = (
    Format(
        "mypy",
        record=rf"(?P<file>{PATH}\.(?:pyi?|ipynb))(?::(?P<line>{NUMBER}))?(?::(?P<column>{NUMBER}))?"
        rf"(?::{NUMBER}:{NUMBER})?: (?P<severity>error|note(?=: Revealed )): "
        r"(?P<message>.*?)(?:(?<! ) {1,2}\[(?P<code>[\w-]+)\])?",
        more=rf"\s.*|\[(?P<code>[\w-]+)\]|{OTHER_PLACE}(?::{NUMBER}:{NUMBER})?: note: .*",
        summary=(
            rf"Found (?P<errors>{NUMBER}) errors? in {NUMBER} files? \(.*\)",
            r"Success: no issues found in .*",
        ),
    ),
    Format(
        "pyright",
        record=rf" +(?:{FILE}:)?(?P<line>{NUMBER}):(?P<column>{NUMBER}) - "
        r"(?P<severity>error|warning|information): (?P<message>.*?)(?: \((?P<code>report\w+)\))?",
        more=r" {4}.*?(?: \((?P<code>report\w+)\))?",
        heading=r"(?P<file>(?:[A-Za-z]:[\\/]|[/.]).*)",
        summary=(
            rf"(?P<errors>{NUMBER}) errors?, (?P<warnings>{NUMBER}) warnings?, "
            rf"(?P<informations>{NUMBER}) (?:informations?|infos?|notes?)",
        ),
        noise=r"No configuration file found\.|Assuming Python .*|Searching for source files|pyright \d.*"
        r"|Found \d+ source files?|WARNING: there is a new pyright version .*"
        r"|Please install the new version .*"
        r"|Loading (?:pyproject\.toml|configuration) file at .*|Auto-excluding .*|Completed in .*",
    ),
    Format(
        "pylint",
        record=rf"{PLACE}: (?P<code>[CRWEFI]\d{{4}}): (?P<message>.*?)(?: \([a-z][\w-]*\))?",
        summary=(r"Your code has been rated at .*",),
        noise=r"\*{5,} Module .*|-{5,}|No config file found, .*",
        block=(r"==[\w.]+:\[\d+:\d+\]", r".*\(duplicate-code\)"),
    ),
    Format(
        "flake8",
        record=rf"{PLACE}: (?P<code>[A-Z]{{1,10}}\d{{1,5}}) (?P<message>[^\s\[].*)",
        more=r"\s.*",
        summary=(rf"(?P<total>{NUMBER})",),
        noise=r"\d+ +[A-Z]+\d+ .*",
        pointer=CARET,
    ),
    Format(
        "ruff",
        record=rf"{PLACE}: (?:(?P<code>{_RUFF_CODE}):? (?:\[\*\] )?|(?=SyntaxError: ))(?P<message>.+)",
        more=r"\s.*|\d+ +\|.*",
        summary=_RUFF_SUMMARY,
        noise=_RUFF_NOISE,
    ),
    Format(
        "ruff",
        record=rf"(?P<code>{_RUFF_CODE}):? (?:\[\*\] )?(?P<message>.+)",
        more=rf" *--> {FILE}(?::cell \d+)?:(?P<line>{NUMBER}):(?P<column>{NUMBER})"
        r"|\s.*|\d+ +[|+-].*|\d+ *\|?|\.\.\..*|(?:help|note|info): .*",
        summary=_RUFF_SUMMARY,
        noise=_RUFF_NOISE,
        needs=frozenset({"message", "file"}),
    ),
    Format(
        "ruff",
        record=rf" +(?P<line>{NUMBER}):(?P<column>{NUMBER}) +"
        rf"(?P<code>{_RUFF_CODE}):? (?:\[\*\] )?(?P<message>.+)",
        heading=rf"{FILE}:",
        summary=_RUFF_SUMMARY,
        noise=_RUFF_NOISE,
    ),
    Format(
        "pylint",
        record=rf"{FILE}:(?P<line>{NUMBER}): \[(?P<code>[A-Z]{{1,10}}\d{{1,5}}|invalid-syntax)"
        r"(?:\([\w-]+\))?(?:, [^\]]*)?\] (?P<message>.+)",
        summary=(r"Your code has been rated at .*",),
        noise=r"\*{5,} Module .*|-{5,}",
    ),
    Format(
        "bandit",
        record=r">> Issue: \[(?P<code>B\d+):\w+\] (?P<message>.+)",
        more=rf"   Location: {PLACE}|   Severity: (?P<severity>\w+) .*|\s.*|\d+(?:\t.*)?",
        summary=(
            r"\tNo issues identified\.",
            rf"\t\t(?:Undefined|Low|Medium|High): (?P<total>{NUMBER})(?:\.0)?",
        ),
        noise=r"\[\w+\]\t(?:INFO|WARNING)\t.*|Run started:.*|Test results:|-{5,}|Code scanned:|Run metrics:"
        r"|\tTotal .*|Files skipped \(\d+\):|\t\S+ \(.*\)|Working\.\.\. .*",
        block=(r"\tTotal issues \(by confidence\):", r"Files skipped \(\d+\):"),
        needs=frozenset({"message", "file", "line"}),
    ),
    Format(
        "yamllint",
        record=rf" +(?P<line>{NUMBER}):(?P<column>{NUMBER}) +(?P<severity>error|warning) ++"
        r"(?:(?P<message>.*?)(?<! ) {1,2}\((?P<code>[\w-]+)\)|(?P<message2>syntax error.*))",
        heading=r"(?P<file>\S.*)",
    ),
    Format(
        "yamllint",
        record=rf"{PLACE}: \[(?P<severity>error|warning)\] (?P<message>.*?)(?: \((?P<code>[\w-]+)\))?",
    ),
    _stylish("eslint", "[Ee]rror|[Ww]arning"),
    _stylish("stylelint", "[✖×⚠‼ℹ]"),
    Format(
        "eslint",
        record=rf"{PLACE}: (?P<message>.*?) \[(?P<severity>Error|Warning)(?:/(?P<code>{_RULE}))?\]",
        summary=(_PROBLEMS,),
    ),
    Format(
        "eslint",
        record=rf"{FILE}: line (?P<line>{NUMBER}), col (?P<column>{NUMBER}), (?P<severity>\w+) - "
        rf"(?P<message>.*?)(?: \((?P<code>{_RULE})\))?",
        summary=(_PROBLEMS,),
    ),
    Format(
        "stylelint",
        record=rf"{PLACE}: (?P<message>.*?)(?: \((?P<code>{_RULE})\))? \[(?P<severity>error|warning)\]",
        summary=(_PROBLEMS,),
    ),
    Format(
        "shellcheck",
        record=r" *\^[-^]* +(?P<code>SC\d+)(?: \((?P<severity>\w+)\))?: (?P<message>.+)",
        heading=rf"In (?P<file>.+) line (?P<line>{NUMBER}):",
        noise=r"For more information:|  https://\S+ -- .*",
        pointer=r" *\^-.*",
        block=(r"Did you mean:.*", r""),
    ),
    Format(
        "shellcheck",
        record=rf"{PLACE}: (?P<severity>error|warning|note): (?P<message>.*) \[(?P<code>SC\d+)\]",
    ),
    Format(
        "hadolint",
        record=rf"{FILE}:(?P<line>{NUMBER}) (?P<code>(?:DL|SC)\d+) "
        r"(?:(?P<severity>error|warning|info|style): )?(?P<message>.+)",
    ),
    Format(
        "markdownlint",
        record=rf"{PLACE} (?:(?P<severity>error|warning) )?(?P<code>MD\d+)/\S+ (?P<message>.+)",
        summary=(rf"Summary: (?P<total>{NUMBER}) error\(s\)",),
        noise=r"markdownlint-cli2 v.*|Finding: .*|Linting: \d+ files?(?:\(s\))?",
    ),
    Format(
        "rubocop",
        record=rf"{PLACE}: (?P<severity>[CWEFRI]): (?:\[[A-Z]\w+\] )?"
        r"(?:(?P<code>[A-Z]\w*(?:/[A-Z]\w*)+): )?(?P<message>.+)",
        summary=(
            rf"{NUMBER} files? inspected, (?P<total>{NUMBER}|no) offenses? detected"
            rf"(?:, {NUMBER} (?:more )?offenses? (?:corrected|auto-?correctable|can be corrected .*))*",
        ),
        noise=r"Inspecting \d+ files?|[.CWEFRI]+|Offenses:",
        pointer=rf"\s+|{CARET}",
    ),
    Format(
        "phpstan",
        record=rf" +:?(?P<line>{NUMBER}) +(?P<message>\S.*)",
        more=r" {6,}(?:🪪 +(?P<code>[\w.]+)|💡 .*|(?P<message>\S.*))",
        heading=r"  Line +(?P<file>\S.*?)(?: \(in context of .*\))?",
        summary=(rf" \[ERROR\] Found (?P<total>{NUMBER}) errors?", r" \[OK\] No errors"),
        noise=r" -+ -+| +\d+/\d+ \[.*|Note: Using configuration file .*",
    ),
    Format(
        "phpcs",
        record=rf" *(?P<line>{NUMBER}) \| (?P<severity>ERROR|WARNING) +\| (?:\[[ x]\] )?"
        rf"(?P<message>.*?)(?: \((?P<code>{_SNIFF})\))?",
        more=rf" +\| +\|(?: +(?:\((?P<code>{_SNIFF})\)"
        rf"|(?P<message>\S.*?)(?: \((?P<code2>{_SNIFF})\))?))?",
        heading=r"FILE: (?P<file>.+)",
        summary=(
            rf"FOUND (?P<errors>{NUMBER}) ERRORS?(?: AND (?P<warnings>{NUMBER}) WARNINGS?)? AFFECTING .*",
            rf"FOUND (?P<warnings>{NUMBER}) WARNINGS? AFFECTING .*",
        ),
        noise=r"-{10,}|PHPCBF CAN FIX .*|[.EWSF]+ +\d+ / \d+ \(\d+%\)|Time: .*; Memory: .*",
    ),
    Format(
        "php",
        record=r"(?:PHP )?(?P<severity>(?:Parse|Fatal|Compile) error|Warning|Notice|Deprecated): +"
        rf"(?P<message>\S.*) in (?P<file>\S+) on line (?P<line>{NUMBER})",
        summary=(r"No syntax errors detected in .*", r"Errors parsing .*"),
        repeats=True,
    ),
    Format(
        "biome",
        record=rf"{FILE}(?::(?P<line>{NUMBER}):(?P<column>{NUMBER}))? "
        r"(?P<code>(?:lint|assist|suppressions|parse|format|organizeImports)[\w/]*)(?:  FIXABLE)? +━+",
        more=r"  (?P<severity>[×✖!⚠iℹ]) (?P<message>.+)|\s.*",
        summary=(
            r"Checked \d+ files? in .*",
            rf"Found (?P<errors>{NUMBER}) errors?\.",
            rf"Found (?P<warnings>{NUMBER}) warnings?\.",
            rf"Found (?P<informations>{NUMBER}) infos?\.",
        ),
        noise=r"(?:lint|check|ci|format) ━+|  [×✖] Some (?:errors|warnings) were emitted while .*",
    ),
)
