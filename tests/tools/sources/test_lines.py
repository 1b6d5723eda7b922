"""Only a line feed ends a line, wherever lines are read: numbers of lines are those of ``grep -n``."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from engines.backends.scripted.engine import ScriptedEngine
from engines.base import JsonObject
from tests.tools.pipeline.test_dispatch import dispatching
from tools.base import Call, Project
from tools.sources.documents import load
from tools.summarize.logs import counted

ROOT = Path(__file__).parent.parent.parent.parent
CODE = ("tools", "shim", "engines", "mcp_server", "benchmarks")
NO_ENDS = {
    "vertical tab": "\v", "form feed": "\f", "file separator": "\x1c", "group separator": "\x1d",
    "record separator": "\x1e", "next line": "\x85", "line separator": "\u2028",
    "paragraph separator": "\u2029", "carriage return": "\r",
}  # fmt: skip
"""What ``str.splitlines`` and text files take for the end of a line and grep does not."""

no_ends = pytest.mark.parametrize("no_end", NO_ENDS.values(), ids=NO_ENDS)


@no_ends
@pytest.mark.skipif(not shutil.which("grep"), reason="there is no grep")
def test_the_numbers_of_lines_are_those_of_grep(no_end: str, tmp_path: Path) -> None:
    file = tmp_path / "f.txt"
    file.write_bytes(f"a{no_end}one\r\n\ntwo{no_end}\nb{no_end}three\n".encode())
    said = subprocess.run(["grep", "-an", ".", file], capture_output=True, timeout=10, check=True).stdout
    numbers = [int(number) for number in re.findall(rb"^(\d+):", said, re.MULTILINE)]
    loaded = load(Project("test", tmp_path), paths=["f.txt"], split="line")
    assert [document.line for document in loaded.documents] == numbers == [1, 3, 4]


@no_ends
def test_a_row_of_json_lines_is_whole(no_end: str) -> None:
    rows = "".join(json.dumps({"a": f"x{no_end}{n}"}, ensure_ascii=False) + "\n" for n in range(3))
    loaded = load(Project("test"), text=rows, split="jsonl:a")
    assert [document.line for document in loaded.documents] == [1, 2, 3]


@no_ends
@pytest.mark.anyio
async def test_evidence_has_the_line_of_grep(no_end: str) -> None:
    text = f"page 1{no_end}page 2{no_end}\nThe order came from Oslo.\n"
    arguments: JsonObject = {"text": text, "fields": ["city"]}
    async with dispatching(ScriptedEngine(['{"city": "Oslo"}'])) as dispatcher:
        result = await dispatcher.run(Call("extract", arguments))
    assert result.fields["evidence"] == {"/city": 2}


@no_ends
@pytest.mark.anyio
async def test_a_parsed_record_has_the_line_of_grep(no_end: str) -> None:
    text = "".join(f'a.py:{n}: error: Name "a{no_end}b" is not known  [name-defined]\n' for n in (7, 8))
    arguments: JsonObject = {"text": text, "many": True, "fields": ["file", "line", "message"]}
    async with dispatching(ScriptedEngine(['{"records": []}'])) as dispatcher:
        result = await dispatcher.run(Call("extract", arguments))
    assert result.receipt.decided_by == "parser"
    assert result.fields["evidence"] == {"/0": 1, "/1": 2}


@no_ends
def test_the_lines_of_a_log_are_counted_as_grep_counts_them(no_end: str) -> None:
    log = "".join(f"ERROR timeout of worker {n}{no_end} after a while\n" for n in range(40))
    assert counted([log], max_words=50)[0] == "40 lines of 1 kinds"


def test_no_code_splits_lines_at_other_characters() -> None:
    files = [file for folder in CODE for file in (ROOT / folder).rglob("*.py")]
    assert [file.name for file in files if ".splitlines(" in file.read_text(encoding="utf-8")] == []
    assert len(files) > 100
