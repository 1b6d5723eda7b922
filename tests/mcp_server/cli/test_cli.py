"""The command line: output, exit codes and messages."""

import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = str(Path(sys.executable).with_name("local-llm-agent"))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "notes.txt").write_text("Release 2.3.0 came on 2026-10-14.\n\nIt fixes the importer.\n")
    (tmp_path / "labels.json").write_text('{"bug": "something is broken", "feature": "something new"}')
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\0\0\0")
    (tmp_path / "empty.txt").write_text("")
    (tmp_path / "bad.json").write_text("{")
    return tmp_path


def run(folder: Path, *arguments: str, given: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "LOCAL_LLM_ENGINE": "scripted",
        "XDG_CACHE_HOME": str(folder / ".home" / "cache"),
        "XDG_CONFIG_HOME": str(folder / ".home" / "config"),
        "XDG_RUNTIME_DIR": str(folder / ".home" / "run"),
        **variables,
    }
    return subprocess.run(
        [SCRIPT, *arguments],
        cwd=folder,
        env=environment,
        input=given,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_every_tool_answers_in_json_with_a_receipt(project: Path) -> None:
    for arguments in (
        ["classify", "--labels", "bug,feature", "It crashes on save"],
        ["classify", "--labels-file", "labels.json", "--paths", "notes.txt", "--split", "line"],
        ["extract", "--fields", '{"version": "the release"}', "--paths", "notes.txt"],
        ["summarize", "--paths", ".", "--max-words", "10"],
        ["chat", "Say a word"],
    ):
        done = run(project, *arguments, "--json")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["receipt"]["engine"] == "scripted"


def test_a_person_reads_the_answer_on_stdout_and_the_receipt_beside_it(project: Path) -> None:
    done = run(project, "classify", "--labels", "bug,feature", "It crashes")
    assert done.stdout.split()[0] in {"bug", "feature"}
    assert "saved" in done.stderr
    assert "saved" not in done.stdout


def test_standard_input_is_a_text(project: Path) -> None:
    done = run(project, "summarize", "-", "--json", given="A text that came through a pipe.")
    assert "pipe" in json.loads(done.stdout)["summary"]


def test_a_carriage_return_on_standard_input_ends_no_line(project: Path) -> None:
    given = "10 %\r50 %\r99 %\nfailed\n"
    done = run(project, "classify", "--labels", "good,bad", "--split", "line", "-", "--json", given=given)
    assert [result["id"] for result in json.loads(done.stdout)["results"]] == ["1", "2"]


def test_paths_are_those_of_the_folder_one_is_in(project: Path) -> None:
    (project / ".git").mkdir()
    below = project / "src"
    below.mkdir()
    (below / "here.txt").write_text("In the folder below.")
    done = run(below, "summarize", "--paths", "here.txt", "--json", XDG_CACHE_HOME=str(project / "c"))
    assert done.returncode == 0, done.stderr


def access_log(project: Path) -> list[str]:
    """Writes a log of 300 requests; returns the command that extracts them."""
    line = '10.0.0.1 - - [10/Oct/2026:13:55:36 +0000] "GET /item/{} HTTP/1.1" 200 7\n'
    (project / "access.log").write_text("".join(line.format(n) for n in range(300)))
    return ["extract", "--many", "--fields", '{"ip": "", "path": ""}', "--paths", "access.log"]


def test_a_long_answer_is_cut_and_says_where_all_of_it_is(project: Path) -> None:
    done = run(project, *access_log(project))
    assert done.returncode == 0, done.stderr
    assert "/item/9" in done.stdout
    assert "/item/10" not in done.stdout
    told = re.search(r"all 300 are in (\S+)", done.stderr)
    assert told
    assert len(Path(told[1]).read_text().splitlines()) == 300
    fields = json.loads(run(project, *access_log(project), "--json").stdout)
    assert (len(fields["records"]), fields["total"]) == (10, 300)


def test_full_prints_all_and_jsonl_a_line_for_each(project: Path) -> None:
    fields = json.loads(run(project, *access_log(project), "--full", "--json").stdout)
    assert len(fields["records"]) == 300
    assert "results_file" not in fields
    done = run(project, *access_log(project), "--jsonl")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["record"] for row in rows] == fields["records"]
    assert rows[-1]["evidence"] == {"": 300}
    assert "saved" in done.stderr


def test_of_many_texts_classify_prints_how_many_have_each_label(project: Path) -> None:
    items = [f"text {n}" for n in range(120)]
    done = run(project, "classify", "--labels", "bug,feature", "--items", *items)
    assert done.returncode == 0, done.stderr
    assert "█" in done.stdout
    *_, counts = done.stdout.splitlines()
    assert sum(map(int, re.findall(r": (\d+)", counts))) == 120


def test_jsonl_of_classify_has_every_item(project: Path) -> None:
    items = [f"text {n}" for n in range(120)]
    done = run(project, "classify", "--labels", "bug,feature", "--jsonl", "--items", *items)
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(rows) == 120
    assert {row["label"] for row in rows} <= {"bug", "feature"}


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["classify", "--labels", "a,b"], 2, "one of text, items, paths"),
        (["classify", "some text"], 2, "--labels"),
        (["classify", "--labels", "a", "text"], 2, "at least two"),
        (["classify", "--labels", "a,b", "--paths", "notes.txt", "--", "text"], 2, "not text and paths"),
        (["extract", "--schema", '{"type": "thing"}', "text"], 2, "JSON Schema"),
        (["extract", "--schema", "bad.json", "text"], 2, "--schema"),
        (["extract", "--fields", "{", "text"], 2, "--fields"),
        (["summarize", "--paths", "/etc/passwd"], 1, "outside"),
        (["summarize", "--paths", "missing.txt"], 1, "does not exist"),
        (["summarize", "--paths", "picture.png"], 1, "binary"),
        (["summarize", "--paths", "empty.txt"], 1, "empty"),
        (["chat", "--tier", "huge", "hi"], 2, "huge"),
        (["translate", "x"], 2, "invalid choice"),
        (["register", "cursor", "--token-env", "TOKEN"], 2, "--http"),
    ],
)
def test_wrong_usage_and_failed_work_have_different_exit_codes(
    project: Path, arguments: list[str], code: int, said: str
) -> None:
    done = run(project, *arguments)
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert not done.stdout
    assert "Traceback" not in done.stderr


def test_a_prompt_too_long_for_chat_is_refused_with_the_numbers(project: Path) -> None:
    done = run(project, "chat", "word " * 20_000)
    assert done.returncode == 1
    assert "16384" in done.stderr


def test_a_file_too_long_for_chat_is_read_in_part_and_that_is_said(project: Path) -> None:
    (project / "long.txt").write_text("word " * 20_000)
    done = run(project, "chat", "What is this?", "--paths", "long.txt")
    assert done.returncode == 0, done.stderr
    assert "the model read 1 of" in done.stderr


def test_a_model_that_is_not_there_is_named_with_the_command_that_pulls_it(project: Path) -> None:
    done = run(project, "chat", "hi", LOCAL_LLM_ENGINE="llamacpp")
    assert done.returncode == 1
    assert "local-llm-agent models pull smollm2-135m" in done.stderr


def test_a_port_in_use_is_named(project: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = run(project, "serve", "--port", str(port))
    assert done.returncode == 1
    assert str(port) in done.stderr
    assert "--port" in done.stderr
    assert "http://" not in done.stderr, "it does not listen"


def test_a_free_port_is_named_once_it_listens(project: Path) -> None:
    environment = {**os.environ, "LOCAL_LLM_ENGINE": "scripted", "XDG_CACHE_HOME": str(project / "cache")}
    command = [SCRIPT, "serve", "--port", "0"]
    with subprocess.Popen(command, cwd=project, env=environment, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        try:
            told = re.search(r"http://127\.0\.0\.1:(\d+)", server.stderr.readline())
            assert told, "no address"
            socket.create_connection(("127.0.0.1", int(told[1])), timeout=5).close()
        finally:
            server.terminate()


def test_no_address_but_loopback_without_a_token(project: Path) -> None:
    done = run(project, "serve", "--host", "0.0.0.0", "--port", "0")
    assert done.returncode == 2
    assert "token" in done.stderr


def test_a_wrong_setting_is_named(project: Path) -> None:
    (project / "local-llm-agent.toml").write_text("[tiers.small]\nmax_tokens = 'many'\n")
    done = run(project, "chat", "hi")
    assert done.returncode == 2
    assert "tiers.small.max_tokens" in done.stderr


def test_doctor_says_what_will_be_used(project: Path) -> None:
    done = run(project, "doctor", "--json")
    found = {finding["what"]: finding for finding in json.loads(done.stdout)["findings"]}
    assert done.returncode == 0
    assert "scripted" in found["tier small"]["found"]
    assert project.name in found["project"]["found"]


def test_what_calibrate_measures_is_used_from_then_on(project: Path) -> None:
    def labels() -> str:
        findings = json.loads(run(project, "doctor", "--json").stdout)["findings"]
        return next(each["found"] for each in findings if each["what"] == "labels of scripted")

    assert "never measured" in labels()
    done = run(project, "calibrate")
    assert done.returncode == 0, done.stderr
    assert "of 287 rows right" in " ".join(done.stdout.split())
    assert "measured on this machine" in labels()


def test_doctor_without_any_engine_says_what_to_do(project: Path) -> None:
    done = run(project, "doctor", LOCAL_LLM_ENGINE="llamacpp")
    assert done.returncode == 1
    assert "models pull" in done.stdout


def test_words_in_brackets_are_shown(project: Path) -> None:
    done = run(project, "doctor", LOCAL_LLM_ENGINE="ollama", OLLAMA_HOST="http://127.0.0.1:9", COLUMNS="200")
    assert "[ollama]" in done.stdout
    done = run(project, "classify", "--labels", "[bug],[red]", "--items", "It crashes", "A new button")
    assert any(label in done.stdout for label in ("[bug]", "[red]"))


def test_errors_are_json_for_a_program(project: Path) -> None:
    done = run(project, "summarize", "--json", "--paths", "missing.txt")
    assert json.loads(done.stdout)["error"]["code"] == "path_not_found"


def test_route_explains_where_a_call_would_go(project: Path) -> None:
    done = run(project, "route", "--tokens", "5000", "--json")
    told = json.loads(done.stdout)
    assert told["tier"] == "main"
    assert "5000" in told["reason"]


def test_the_memory_plan_of_the_reference_model(project: Path) -> None:
    done = run(project, "vram", "gpt-oss:20b", "--context", "16384", "--parallel", "4", "--json")
    plan = json.loads(done.stdout)
    for part, wanted in (("weights", 14e9), ("kv_cache", 1.5e9), ("buffer", 0.5e9)):
        assert abs(plan[part] - wanted) < 0.15e9 + 0.02 * wanted, part
    assert plan["fits"]


def test_help_teaches_by_examples(project: Path) -> None:
    done = run(project, "--help")
    assert "local-llm-agent classify --labels" in done.stdout
