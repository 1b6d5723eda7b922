"""Runs both conformance suites and the inspector against our server: ``make conformance``.

Prints one row per scenario and exits with 1 if an applicable one failed.
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.conformance import packages
from tests.conformance.packages import HANDSHAKE, INSPECTOR, STATELESS

SCRIPT = str(Path(sys.executable).with_name("local-llm-agent"))
SUITE_S = 300
INSPECTION_S = 60
STARTED_S = 30

HOMES = ("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_RUNTIME_DIR")
"""Variables that keep files of the inspector and of our server out of the user's folders."""

NOT_OURS = {"server-sse-polling": "optional: we keep no events for a second connection"}
"""Scenarios that may fail every check, and why."""


@dataclass(frozen=True)
class Suite:
    name: str
    command: tuple[str, ...]
    scenarios: int
    """Least number of scenarios; fewer means that some did not run."""


SUITES = (
    Suite("0.1.16, to 2025-11-25", (*HANDSHAKE, "server", "--suite", "all"), 32),
    Suite("0.2, 2026-07-28", (*STATELESS, "server", "--suite", "all", "--spec-version", "2026-07-28"), 40),
)


@dataclass
class Row:
    """Result of one scenario or one inspection."""

    name: str
    checks: int = 0
    wrong: list[str] = field(default_factory=list[str])
    warned: list[str] = field(default_factory=list[str])

    @property
    def verdict(self) -> str:
        if self.wrong:
            return "failed"
        if self.checks:
            return "passed"
        return "not applicable" if self.name in NOT_OURS else "failed"

    @property
    def remark(self) -> str:
        why = NOT_OURS.get(self.name, "no check was made") if not self.checks else ""
        return "; ".join(filter(None, (why, *self.wrong, *self.warned)))


def main() -> int:
    packages.install()
    tables: dict[str, list[Row]] = {}
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        with serving(sys.executable, "-W", "ignore", "-m", "tests.conformance.fixture") as url:
            for suite in SUITES:
                tables[suite.name] = list(scenarios(suite, url, home / suite.name))
        tables["inspector --strict"] = list(inspections(home))
    for name, rows in tables.items():
        show(name, rows)
    return int(any(row.verdict == "failed" for rows in tables.values() for row in rows))


def scenarios(suite: Suite, url: str, results: Path) -> Generator[Row]:
    """Yields the suite's verdicts, read from the files it writes."""
    subprocess.run(
        [*suite.command, "--url", f"{url}/mcp", "-o", str(results)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=SUITE_S, check=False,
    )  # fmt: skip
    files = sorted(results.glob("server-*/checks.json"), key=lambda file: file.stat().st_mtime_ns)
    for file in files:
        # server-NAME-2026-11-22T16-45-31-955Z
        row = Row(file.parent.name.removeprefix("server-").rsplit("-", 6)[0])
        for check in json.loads(file.read_text()):
            said = f"{check['id']}: {check.get('errorMessage') or check['description']}"
            match check["status"]:
                case "SUCCESS":
                    row.checks += 1
                case "FAILURE":
                    row.wrong.append(said)
                case "WARNING":
                    row.warned.append(said)
                case _:
                    pass
        yield row
    if len(files) < suite.scenarios:
        yield Row("all scenarios", wrong=[f"{len(files)} of {suite.scenarios} were run"])


def inspections(home: Path) -> Generator[Row]:
    """Yields the inspector's verdicts on the real server, over every transport and both protocol eras."""
    environment = {**os.environ, **dict.fromkeys(HOMES, str(home))}
    (home / "config.toml").write_text("")
    ours = {"LOCAL_LLM_ENGINE": "scripted", "LOCAL_LLM_CONFIG": str(home / "config.toml")}
    variables = [f"{name}={value}" for name, value in ours.items()]
    with serving(SCRIPT, "serve", "--port", environment=environment | ours) as url:
        targets: dict[str, tuple[str, ...]] = {
            "stdio": (SCRIPT, "stdio", *(part for pair in variables for part in ("-e", pair))),
            "sse": ("--transport", "sse", "--server-url", f"{url}/sse"),
            "http": ("--transport", "http", "--server-url", f"{url}/mcp"),
        }
        for transport, target in targets.items():
            for era in ("legacy", "modern")[: 1 if transport == "sse" else 2]:
                for asked in QUESTIONS:
                    name = f"{transport} {era} {asked[1]}"
                    yield inspected(name, [*target, *asked, "--protocol-era", era], environment)


QUESTIONS = (
    ("--method", "tools/list", "--strict"),
    ("--method", "tools/call", "--tool-name", "chat", "--tool-arg", "prompt=hello"),
    ("--method", "resources/list"),
)


def inspected(name: str, arguments: Sequence[str], environment: Mapping[str, str]) -> Row:
    done = subprocess.run(
        [*INSPECTOR, "--cli", *arguments, "--format", "json", "--quiet"],
        capture_output=True, text=True, timeout=INSPECTION_S, env=environment, check=False,
    )  # fmt: skip
    if done.returncode:
        return Row(name, wrong=[f"exit code {done.returncode}: {done.stderr.strip()[-300:]}"])
    result = json.loads(done.stdout).get("result", {})
    return (
        Row(name, checks=1) if result and not result.get("isError") else Row(name, wrong=[done.stdout[:300]])
    )


@contextmanager
def serving(*command: str, environment: Mapping[str, str] | None = None) -> Generator[str]:
    """Runs ``command PORT`` and yields its URL."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    with subprocess.Popen([*command, str(port)], env=environment) as process:
        try:
            _until_it_answers(url, process)
            yield url
        finally:
            process.terminate()


def _until_it_answers(url: str, process: "subprocess.Popen[bytes]") -> None:
    until = time.monotonic() + STARTED_S
    while time.monotonic() < until and process.poll() is None:
        try:
            urllib.request.urlopen(f"{url}/mcp", timeout=5)
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError(f"{url} does not answer")


def show(name: str, rows: Iterable[Row]) -> None:
    print(f"\n{name}\n")
    counts: dict[str, int] = {}
    for row in rows:
        counts[row.verdict] = counts.get(row.verdict, 0) + 1
        print(f"  {row.verdict:<15}{row.checks:>3} checks  {row.name:<47}{row.remark}".rstrip())
    print(f"\n  {', '.join(f'{count} {verdict}' for verdict, count in counts.items())}")


if __name__ == "__main__":
    sys.exit(main())
