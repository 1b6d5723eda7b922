"""Argument parser of the command line, and dispatch to the command's module.

Command modules are imported lazily, and only the standard library before that, so that ``stdio``
answers its host at once.
"""

import argparse
import os
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import cast

from mcp_server.stdio.handshake import answer_handshake
from mcp_server.version import VERSION

EXAMPLES = """\
first steps:
  local-llm-agent                 # what is on this machine, and what to run next
  local-llm-agent setup           # get a model, register with the coding agents found here
  local-llm-agent doctor          # what works, what does not, and why

examples:
  local-llm-agent classify --labels "bug,feature,question" "It crashes on save"
  local-llm-agent classify --labels-file labels.json --paths "logs/*.log" --split line
  local-llm-agent extract --fields '{"version": "the release"}' --paths CHANGELOG.md
  local-llm-agent summarize --paths docs --focus "how to install"
  git diff | local-llm-agent summarize --style tldr -
  local-llm-agent register claude-code
  local-llm-agent serve --port 3160

`local-llm-agent COMMAND --help` explains the options of a command.
"""

Command = Callable[[argparse.Namespace], Awaitable[int]]

INTERRUPTED = 130
READER_LEFT = 141
"""What a shell reports for a program that SIGPIPE ended, as in ``local-llm-agent ... | head``."""


def run(argv: Sequence[str]) -> int:
    """Parses ``argv`` and runs the command.

    Returns:
        The exit code: 0 done, 1 the work failed, 2 wrong usage, 130 interrupted, 141 nobody reads the output.
    """
    try:
        return _flushed(argv)
    except* BrokenPipeError:
        pass
    _discard_output()
    return READER_LEFT


def _flushed(argv: Sequence[str]) -> int:
    """Runs the command and writes all its output.

    Raises:
        BrokenPipeError: nobody reads it.
    """
    try:
        return _command(argv)
    except SystemExit as leaving:
        # What rich makes of a broken pipe.
        if isinstance(leaving.__context__, BrokenPipeError):
            raise leaving.__context__ from None
        raise
    finally:
        # Not at exit, where a failure prints a traceback. Without standard output, sys.stdout is None.
        if sys.stdout:
            sys.stdout.flush()


def _discard_output() -> None:
    """Sends what is left in the buffers nowhere, as it is flushed again at exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in filter(None, (sys.stdout, sys.stderr)):
        try:
            stream.flush()
        except BrokenPipeError:
            os.dup2(nowhere, stream.fileno())


def _command(argv: Sequence[str]) -> int:
    options = parser().parse_args(argv)
    if options.command == "serve.stdio":
        options.backlog = answer_handshake()
        if options.backlog.ended:
            return 0
        from mcp_server.stdio.target import target

        options.target = target(options.through, os.environ)
        if options.target:
            options.command = "through.through"
    return _run(options)


def _run(options: argparse.Namespace) -> int:
    import importlib
    from functools import partial

    import anyio

    from engines import system
    from mcp_server import log

    system.use_utf8()
    log.configure(verbose=options.verbose)
    module, name = options.command.split(".")
    command = cast("Command", getattr(importlib.import_module(f"mcp_server.cli.{module}"), name))
    if getattr(options, "text", None) == "-":
        # Before the event loop, in which a signal would not end the wait. As bytes: text mode would end a
        # line at each carriage return, too.
        options.piped = sys.stdin.buffer.read()
    # It takes 2 MB of memory and makes a call over stdio 0.1 ms faster.
    uvloop = not system.WINDOWS and not hasattr(options, "backlog")
    try:
        return anyio.run(partial(command, options), backend_options={"use_uvloop": uvloop})
    except KeyboardInterrupt:
        return INTERRUPTED


def parser() -> argparse.ArgumentParser:
    """Returns the parser with all commands."""
    top = argparse.ArgumentParser(
        prog="local-llm-agent",
        description="Delegate simple work on text to a model on this machine: as an MCP server for\n"
        "coding agents, as an OpenAI-compatible endpoint, or from the command line.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"%(prog)s {VERSION}")
    top.set_defaults(command="overview.overview", json=False, verbose=False, engine=None, project="")
    commands = top.add_subparsers(metavar="COMMAND")
    common = _common()

    def add(name: str, command: str, summary: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, parents=[common], help=summary, description=summary)
        added.set_defaults(command=command)
        return added

    _setup(add("setup", "setup.setup", "get a model, register with the coding agents found here"))
    _stdio(add("stdio", "serve.stdio", "serve MCP over standard input and output, as in mcp.json"))
    _serve(add("serve", "serve.serve", "serve MCP (/mcp, /sse), /v1 and REST over HTTP"))
    _classify(add("classify", "tools.classify", "classify texts by labels"))
    _extract(add("extract", "tools.extract", "extract fields from text, with evidence"))
    _summarize(add("summarize", "tools.summarize", "summarize text of any length"))
    _chat(add("chat", "tools.chat", "ask the local model a question"))
    _stats(add("stats", "stats.stats", "show what was saved, by project, tool, agent and tier"))
    _calibrate(add("calibrate", "calibrate.calibrate", "measure how far a model's labels can be believed"))
    _doctor(add("doctor", "doctor.doctor", "say what works, what does not, and what to do"))
    _register(add("register", "register.register", "add this server to a coding agent's settings"))
    _models(add("models", "models.models", "list the available models, or pull one"))
    _vram(add("vram", "plan.vram", "compute the memory a model needs"))
    _route(add("route", "plan.route", "show which tier, engine and model a call would get, and why"))
    return top


def _common() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--json", action="store_true", help="print JSON for another program")
    common.add_argument("--verbose", action="store_true", help="log more, to standard error")
    common.add_argument("--engine", help="auto, ollama, vllm, llamacpp, openai or scripted")
    common.add_argument("--project", default="", help="project name; default: detected from the folder")
    return common


def _setup(command: argparse.ArgumentParser) -> None:
    command.description = (
        "Download a model for the embedded engine, unless an engine with a model answers already, and add "
        "this server to the settings of the coding agents found here. What is there is left as it is."
    )
    command.add_argument("--yes", action="store_true", help="do it without asking")
    command.add_argument("--small", action="store_true", help="download the smallest capable chat model")
    command.add_argument(
        "--scope", choices=["project", "user"], default="user",
        help="register for all your projects (user), or in this project's files",
    )  # fmt: skip


def _stdio(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--through", metavar="URL",
        help="only forward to a running `serve`, as http://127.0.0.1:3160: half the memory in each session; "
             "by default [stdio] through, LOCAL_LLM_STDIO__THROUGH",
    )  # fmt: skip


def _serve(command: argparse.ArgumentParser) -> None:
    command.add_argument("--host", help="address to listen on (127.0.0.1); any but loopback needs a token")
    command.add_argument("--port", type=int, help="port to listen on (3160)")
    command.add_argument("--workers", type=int, metavar="N", help="processes that share the port (1)")
    command.add_argument("--channel", type=int, help=argparse.SUPPRESS)  # how a worker reaches its parent


def _source(command: argparse.ArgumentParser) -> None:
    command.add_argument("text", nargs="?", help="the text itself, or - for standard input")
    command.add_argument("--items", nargs="+", metavar="TEXT", help="many short texts")
    command.add_argument("--paths", nargs="+", metavar="PATH", help="files, folders or globs")
    command.add_argument("--split", help="split files into items: file, line, paragraph, jsonl:FIELD")
    _routing(command)
    command.add_argument("--instructions", help="additional instructions for the model")


def _routing(command: argparse.ArgumentParser) -> None:
    command.add_argument("--tier", help="auto, small or main")
    command.add_argument("--model", default="", help="use this model")
    command.add_argument("--adapter", help="use this LoRA adapter")


def _classify(command: argparse.ArgumentParser) -> None:
    labels = command.add_mutually_exclusive_group(required=True)
    labels.add_argument("--labels", help="labels, separated by commas")
    labels.add_argument("--labels-file", metavar="FILE", help="JSON: a list, or label -> description")
    command.add_argument(
        "--multi", action="store_true", default=None, help="assign any number of labels to a text"
    )
    command.add_argument(
        "--min-confidence", type=float, metavar="P", help="abstain if the confidence is below P (0..1)"
    )
    command.add_argument("--examples-file", metavar="FILE", help="JSON: [{text, label}]")
    _length(command)
    _source(command)


def _extract(command: argparse.ArgumentParser) -> None:
    wanted = command.add_mutually_exclusive_group(required=True)
    wanted.add_argument("--fields", metavar="JSON", help="{name: description}")
    wanted.add_argument("--schema", metavar="JSON|FILE", help="JSON Schema of one record")
    command.add_argument("--many", action="store_true", default=None, help="extract a list of records")
    _length(command)
    _source(command)


def _length(command: argparse.ArgumentParser) -> None:
    length = command.add_mutually_exclusive_group()
    length.add_argument("--full", action="store_true", help="print all of a long answer")
    length.add_argument("--jsonl", action="store_true", help="print every result as a line of JSON")


def _summarize(command: argparse.ArgumentParser) -> None:
    command.add_argument("--focus", help="the question the summary should answer")
    command.add_argument("--max-words", type=int, metavar="N", help="most words of the summary (150)")
    command.add_argument("--style", choices=["paragraph", "bullets", "tldr"])
    _source(command)


def _chat(command: argparse.ArgumentParser) -> None:
    command.add_argument("prompt", help="the question")
    command.add_argument("--system", help="system message")
    command.add_argument("--schema", metavar="JSON|FILE", help="JSON Schema of the answer")
    command.add_argument("--max-tokens", type=int, metavar="N")
    command.add_argument("--temperature", type=float, metavar="T")
    _source(command)


def _calibrate(command: argparse.ArgumentParser) -> None:
    command.description = (
        "Ask the model 287 questions whose answers are known (about 5 minutes on 2 cores) and keep how far "
        "its labels, and those of the embedding model, can be believed. From then on classify uses them "
        "to decide when to ask the model, and what its confidence says."
    )
    command.add_argument("--model", default="", help="calibrate this model; default: that of the small tier")


def _doctor(command: argparse.ArgumentParser) -> None:
    command.add_argument("--details", action="store_true", help="show every finding, not only the sentences")


def _register(command: argparse.ArgumentParser) -> None:
    command.add_argument("client", choices=["claude-code", "gemini", "trae", "codex", "cursor"])
    command.add_argument(
        "--scope", choices=["project", "user"], default="project", help="the project's settings or yours"
    )
    command.add_argument("--print", action="store_true", help="print the entry and write nothing")
    command.add_argument("--remove", action="store_true", help="remove the entry")
    command.add_argument("--http", metavar="URL", help="call a running server instead of starting one")
    command.add_argument("--token-env", metavar="NAME", default="", help="variable that holds its token")
    command.add_argument("--windows", action="store_true", help="in WSL: register with a client on Windows")


def _models(command: argparse.ArgumentParser) -> None:
    command.add_argument("action", choices=["list", "pull"], nargs="?", default="list")
    command.add_argument(
        "names", nargs="*", metavar="NAME",
        help="what to pull: a name of `models list`, or hf:OWNER/REPO/FILE.gguf; without a name, the best "
             "chat model that fits this machine, and the embedding model",
    )  # fmt: skip
    command.add_argument("--small", action="store_true", help="pull the smallest capable chat model")


def _stats(command: argparse.ArgumentParser) -> None:
    command.add_argument("--since", metavar="TIME", help="today, all, 12h, 7d, 2w or a date (7d)")
    command.add_argument("--prune", action="store_true",
                         help="delete calls older than --since, by default than [ledger] days")  # fmt: skip


def _vram(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "model", help="a name of `models list`, a GGUF file, a folder with config.json, or gpt-oss:20b"
    )
    command.add_argument(
        "--context", type=int, default=16384, metavar="N", help="context of a request in tokens"
    )
    command.add_argument("--parallel", type=int, default=4, metavar="K", help="parallel requests")


def _route(command: argparse.ArgumentParser) -> None:
    command.add_argument("--tool", default="chat", choices=["classify", "extract", "summarize", "chat"])
    command.add_argument("--tokens", type=int, default=0, help="estimated prompt tokens")
    command.add_argument("--max-tokens", type=int, help="requested answer tokens")
    _routing(command)
