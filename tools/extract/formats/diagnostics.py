"""Parses diagnostics of compilers and linters: file, line, column, severity, code, message."""

from tools.extract.formats.line_formats import (
    CARET,
    FILE,
    NUMBER,
    OTHER_PLACE,
    PATH,
    PLACE,
    Format,
    read,
)
from tools.extract.formats.linters import LINTERS
from tools.extract.formats.report import Report

_GRADLE = (
    r"> Task .*|FAILURE: Build failed .*|\* (?:What went wrong|Try|Get more help|Exception is).*"
    r"|Execution failed for task .*"
    r"|> (?:Compilation (?:failed|error)|Run with|Check your code|Get more help).*"
    r"|Run with --.*|BUILD (?:FAILED|SUCCESSFUL) in .*|\d+ actionable tasks?: .*"
    r"|\[Incubating\] Problems report .*"
)
_C_COMPILER = r"(?:\S*/)?(?:[\w.]+-)*(?:cc1(?:plus)?|gcc|g\+\+|cc|c\+\+|clang(?:\+\+)?|swiftc)(?:-[\d.]+)?"
_FRONTED = r"\s.*|\d+ +[|~+-].*|\d+ *\|?|\.\.\..*|(?:help|note|hint|info)(?:\[\S+\])?: .*"
"""What rustc and its like print below a message: gutter, notes, help."""
_SOME = r"[1-9]\d{0,8}|one|two|three|four"

COMPILERS = (
    Format(
        "clang-tidy",
        record=rf"{PLACE}: (?P<severity>error|warning): (?P<message>.*?) \[(?P<code>[a-z]+[.-][\w.,-]+)\]",
        more=rf"\s.*|\d+ +\|.*|{OTHER_PLACE}: note: .*",
        noise=rf"(?:{NUMBER} warnings?)?(?: and )?(?:{NUMBER} errors?)? generated\."
        r"|Suppressed \d+ warnings? .*|Use -header-filter=.*|Error while processing .*|Found compiler error.*"
        r"|\[\d+/\d+\].*",
        pointer=CARET,
    ),
    Format(
        "cppcheck",
        record=rf"{PLACE}: (?P<severity>error|warning|style|performance|portability|information): "
        r"(?P<message>.*?) \[(?P<code>[a-z]\w+)\]",
        more=rf"\s.*|{OTHER_PLACE}: note: .*",
        noise=r"Checking .*|\d+/\d+ files checked .*",
        pointer=CARET,
    ),
    Format(
        "cppcheck",
        record=rf"(?:\[{OTHER_PLACE}\] -> )*\[{PLACE}\]: "
        r"\((?P<severity>\w+)\) (?P<message>.+)",
        noise=r"Checking .*|\d+/\d+ files checked .*",
    ),
    Format(
        "gcc",
        record=rf"(?:{PLACE}: |{_C_COMPILER}: |(?=fatal error: too many errors))"
        r"(?P<severity>(?:[Ff]atal )?[Ee]rror|[Ww]arning): "
        r"(?P<message>.*?)(?: \[(?P<code>-W[^\s\]]+|#\w+)\])?",
        more=rf"\s.*|\d+ +\|.*|(?:{OTHER_PLACE}: |{_C_COMPILER}: )?note: .*",
        summary=(
            rf"(?P<warnings>{NUMBER}) warnings? generated\.",
            rf"(?:(?P<warnings>{NUMBER}) warnings? and )?(?P<errors>{NUMBER}) errors? generated\.",
            r"compilation terminated\.",
        ),
        noise=rf"In file included from .*[,:]|In module imported from .*|{PATH}: (?:In|At) .*:"
        rf"|{PATH}: Assembler messages:|{OTHER_PLACE}: +(?:recursively )?required (?:from|by) .*"
        r"|\s+from .*[,:]"
        r"|cc1(?:plus)?: (?:all|some) warnings being treated as errors"
        rf"|\[ *\d+(?:%|/\d+)\] .*|FAILED: .*|{_C_COMPILER}(?: .*)? -\w.*",
        pointer=CARET,
    ),
    Format(
        "tsc",
        record=rf"(?:{FILE}\((?P<line>{NUMBER}),(?P<column>{NUMBER})\): "
        rf"|(?P<file2>{PATH}):(?P<line2>{NUMBER}):(?P<column2>{NUMBER}) - )?"
        r"(?P<severity>error|warning|message) (?P<code>TS\d+): (?P<message>.+)",
        more=r"\s.*|\d+(?: .*)?",
        summary=(
            rf"(?:\[?[\d:]+ [AP]M\]?(?: -)? )?Found (?P<errors>{NUMBER}) errors?"
            r"(?: in \d+ files?| in the same file, starting at: .*| in .*:\d+)?\.?(?: Watching for .*)?",
        ),
        noise=rf"Errors  Files|\s+{NUMBER}  \S.*:\d+|\[?[\d:]+ [AP]M\]?(?: -)? Starting compilation .*",
    ),
    Format(
        "msbuild",
        record=rf"\s*(?:{NUMBER}>)?"
        rf"(?:{FILE}\((?P<line>{NUMBER})(?:[,-](?P<column>{NUMBER}))?(?:,{NUMBER},{NUMBER})?\) ?"
        rf"|(?:CSC|VBC|FSC|LINK|MSBUILD|cl) ?|(?P<file2>{PATH}\.\w+) ?)"
        r": (?P<severity>fatal error|error|warning) (?P<code>[A-Z]+\d+) ?: (?P<message>.*?)"
        r"(?: \[(?P<project>[^\[\]]+proj(?:::[^\[\]]+)?)\])?",
        more=rf"\s.*|{PATH}\({NUMBER}(?:,{NUMBER})?\) ?: note: .*",
        summary=(
            rf" +(?P<warnings>{NUMBER}) Warning\(s\)",
            rf" +(?P<errors>{NUMBER}) Error\(s\)",
            rf"Build (?:failed|succeeded)(?: with (?:(?P<errors>{NUMBER}) error\(s\))?(?: and )?"
            rf"(?:(?P<warnings>{NUMBER}) warning\(s\))?)? in [\d.:]+s?",
        ),
        noise=r"Build (?:started|FAILED|succeeded).*|MSBuild version .*"
        r"|Microsoft \(R\) .*|Copyright \(C\) Microsoft.*|Time Elapsed .*"
        r"|(?:Generating Code|Compiling)\.\.\.|\s*\S+\.(?:c|cc|cpp|cxx)|[A-Z]\w+:"
        r"|\s*(?:Determining projects to restore|All projects are up-to-date|Restored? ).*|\s+\S.* -> \S.*"
        r'|\s*Project ".*|Done Building Project .*|"[^"]+" \(.*\) (?:\(\d+\) )?->|\(.* target\) ->'
        r"|\s+\S+ (?:\S+ )?(?:failed|succeeded)(?: with .*)? \([\d.]+s\).*",
        repeats=True,
    ),
    Format(
        "rustc",
        record=rf"(?:{PLACE}: )?(?P<severity>error|warning)(?:\[(?P<code>[\w:-]+)\]:?|:) (?P<message>\S.*)",
        more=rf" *--> {FILE}:(?P<line>{NUMBER}):(?P<column>{NUMBER})|{_FRONTED}",
        summary=(
            r"error: aborting due to (?P<errors>\d*) ?previous errors?.*",
            r"error: could not compile `[^`]*`[^`]* due to (?P<errors>\d*) ?previous errors?.*",
            r"error: could not compile `.*",
            rf"warning: (?P<warnings>{NUMBER}) warnings? emitted",
            rf"warning: `[^`]*` (?:\([^)]*\) )?generated (?P<warnings>{NUMBER}) warnings?.*",
            rf"Found (?P<total>{NUMBER}) (?:diagnostic|problem)s?",
            r" +Finished .* target\(s\) in .*",
        ),
        noise=r" +(?:Compiling|Checking|Updating|Downloading|Downloaded|Locking|Adding|Blocking|Building"
        r"|Fresh|Dirty|Running|Documenting) .*"
        r"|Some errors have detailed explanations: .*|To learn more, run .*"
        r"|For more information about (?:this|an) error, try .*|warning: build failed, waiting for .*"
        r"|Checked \d+ files?",
        repeats=True,
    ),
    Format(
        "javac",
        record=rf" {{0,2}}(?:(?P<file>{PATH}\.(?:java|scala|kt|groovy)):"
        rf"(?P<line>{NUMBER})(?::(?P<column>{NUMBER}))?: )?"
        r"(?P<severity>error|warning): (?:\[(?P<code>[\w-]+)\] )?(?P<message>.+)",
        more=r"\s.*",
        summary=(
            rf" {{0,2}}(?P<errors>{_SOME}) errors?(?: found)?",
            rf" {{0,2}}(?P<warnings>{_SOME}) warnings?(?: found)?",
        ),
        noise=rf" {{0,2}}Note: .*|only showing the first .*|{_GRADLE}",
        pointer=CARET,
        repeats=True,
    ),
    Format(
        "maven",
        record=rf"\[(?P<severity>ERROR|WARNING)\] (?:file://)?{FILE}:"
        rf"\[(?P<line>{NUMBER}),(?P<column>{NUMBER})\] "
        r"(?:\[(?P<code>[\w-]+)\] )?(?P<message>.+)",
        more=r"(?:\[(?:ERROR|WARNING)\] )?\s.*",
        summary=(rf"\[INFO\] (?P<errors>{NUMBER}) errors?", rf"\[INFO\] (?P<warnings>{NUMBER}) warnings?"),
        noise=r"\[INFO\].*|\[(?:ERROR|WARNING)\](?: (?:COMPILATION (?:ERROR|WARNING) ?:"
        r"|Failed to execute goal |-> \[Help|To see the full |Re-run Maven |For more information |\[Help \d"
        r"|After correcting |  mvn ).*)?|Download(?:ing|ed) from .*",
        repeats=True,
    ),
    Format(
        "sbt",
        record=rf"\[(?P<severity>error|warn)\] {PLACE}: (?P<message>.+)",
        more=r"\[(?:error|warn)\](?:  .*)?",
        summary=(
            rf"\[error\] (?P<errors>{_SOME}) errors? found",
            rf"\[warn\] (?P<warnings>{_SOME}) warnings? found",
        ),
        noise=r"\[(?:info|success)\].*|\[error\] \(.*|\[error\] Total time: .*",
        pointer=r"\[(?:error|warn)\] +\^",
    ),
    Format(
        "kotlinc",
        record=rf"(?P<severity>[ew]): (?:file://)?{FILE}"
        rf"(?::(?P<line>{NUMBER}):(?P<column>{NUMBER}):?|: \((?P<line2>{NUMBER}), (?P<column2>{NUMBER})\):) "
        r"(?P<message>.+)",
        noise=_GRADLE,
        repeats=True,
    ),
    Format(
        "golangci-lint",
        record=rf"(?P<file>{PATH}\.go):(?P<line>{NUMBER})(?::(?P<column>{NUMBER}))?: "
        r"(?:(?P<code>[A-Z]{1,3}\d{3,4}): )?(?P<message>\S.*?) \((?P<code2>[A-Za-z][\w-]*)\)",
        more=r"\s.*",
        summary=(rf"(?P<total>{NUMBER}) issues?[:.]",),
        noise=r"\* [\w-]+: \d+|level=\w+ .*|(?:INFO|WARN) .*",
        pointer=CARET,
    ),
    Format(
        "go",
        record=rf"(?:vet: )?(?P<file>{PATH}\.go):(?P<line>{NUMBER}):(?P<column>{NUMBER}): (?P<message>\S.*)",
        more=r"\s.*",
        noise=r"# \S+.*|go: (?:downloading|finding|extracting) .*|(?:\S+: )?too many errors"
        r"|note: module requires .*|FAIL\t.*\[(?:build|setup) failed\]|FAIL|exit status \d+",
    ),
    Format(
        "pyflakes",
        record=rf"(?P<file>{PATH}\.pyi?):(?P<line>{NUMBER}):(?P<column>{NUMBER}):? (?P<message>\S.*)",
        more=r"\s.*",
        pointer=CARET,
    ),
)


def parse(text: str) -> Report | None:
    """Returns the diagnostics of a whole text in the first format that reads all of it."""
    return next((report for form in (*LINTERS, *COMPILERS) if (report := read(text, form))), None)
