"""The embedded engine's process: llama.cpp's HTTP servers for one chat and one embedding model.

``server.py`` starts a launcher in the runtime folder, with the configuration as JSON on standard input, and
the launcher starts the process and exits. So the process is no child of the client that needed it first: a
host that ends its servers with all their children does not end the engine of other agents. (A ``fork`` would
be shorter, but Windows has none.) All processes of the user share it. It has these files, named after the
configuration's fingerprint:

    llamacpp-FINGERPRINT.lock   locked while the process lives; the kernel unlocks it
    llamacpp-FINGERPRINT.json   addresses and API key; exists from readiness to idle exit
"""

import contextlib
import json
import os
import secrets
import signal
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypedDict

from engines import system

if TYPE_CHECKING:
    import xllamacpp

LOCK_S = 5.0
GRACE_S = 1.0
POLL_S = 2.0
LOG_BYTES = 4 << 20
PROMPT_CACHE_MIB = 256
EMBEDDING_SEQUENCES = 16
SPIN_COUNT = "1000"
COUNTERS = (
    "llamacpp:prompt_tokens_total",
    "llamacpp:prompt_tokens_cached_total",
    "llamacpp:tokens_predicted_total",
)
IN_FLIGHT = ("llamacpp:requests_processing", "llamacpp:requests_deferred")


class Config(TypedDict):
    fingerprint: str
    model: str
    path: str
    adapters: list[str]
    context: int
    parallel: int
    embedding: str
    embedding_path: str
    embedding_window: int
    threads: int
    gpu_layers: int
    idle_seconds: float


class State(TypedDict):
    fingerprint: str
    pid: int
    url: str
    embedding_url: str
    key: str


def command(step: Literal["launch", "serve"]) -> list[str]:
    """Returns the command that runs a function of this module in a new interpreter.

    ``-P`` and the removed entry keep the folders of our modules, and the working folder, out of ``sys.path``,
    where they would shadow packages.
    """
    code = f"import sys; sys.path.insert(0, sys.argv[1]); from {__name__} import {step}; del sys.path[0]"
    return [sys.executable, "-P", "-c", f"{code}; {step}()", str(Path(__file__).parents[3])]


def launch() -> None:
    """Starts the process; returns once it holds its lock, or has ended."""
    config = sys.stdin.buffer.read()
    process = system.spawn_detached(command("serve"), folder=Path.cwd(), log=sys.stderr.fileno())
    assert process.stdin
    assert process.stdout
    with contextlib.suppress(BrokenPipeError), process.stdin as pipe:
        pipe.write(config)
    process.stdout.readline()


def serve() -> None:
    """Serves until idle or stopped."""
    config: Config = json.load(sys.stdin.buffer)
    lock = _lock(Path(f"llamacpp-{config['fingerprint']}.lock"))
    print("locked", flush=True)
    # From now on nobody reads standard output: what is printed goes to the log.
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    system.limit_file_size(LOG_BYTES)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.set())
    _serve(config, stop)
    os.close(lock)


def _lock(path: Path) -> int:
    """Takes the lock, or exits with status 3 if another child has it.

    Retries for a while, because clients hold the lock for a moment when they check it.
    """
    file = system.open_private(path)
    until = time.monotonic() + LOCK_S
    while not system.try_lock(file):
        if time.monotonic() > until:
            sys.exit(3)
        time.sleep(0.01)
    return file


def _serve(config: Config, stop: threading.Event) -> None:
    # Threads that sleep at once while they wait for each other slow generation down; threads that spin
    # too long block the cores of a busy machine. libgomp reads this on loading; see docs/performance.md.
    os.environ.setdefault("GOMP_SPINCOUNT", SPIN_COUNT)
    import xllamacpp

    key = secrets.token_urlsafe(32)
    try:
        servers = [xllamacpp.Server(_chat(config, key))]
        if config["embedding_path"]:
            servers.append(xllamacpp.Server(_embedding(config, key)))
    except RuntimeError as error:
        # llama.cpp has logged the reason just before.
        sys.exit(str(error))
    urls = [server.listening_address for server in servers]
    state: State = {
        "fingerprint": config["fingerprint"],
        "pid": os.getpid(),
        "url": urls[0],
        "embedding_url": urls[1] if len(urls) > 1 else "",
        "key": key,
    }
    while not stop.is_set():
        with _published_state(state) as path:
            _wait_until_idle(servers, path, config["idle_seconds"], stop)
        # Clients that have just read the state file may still send requests.
        last = _activity(servers)
        stop.wait(GRACE_S)
        if _activity(servers) == last:
            return


def _chat(config: Config, key: str) -> "xllamacpp.CommonParams":
    import xllamacpp

    params = _common(config, config["model"], config["path"], key)
    params.n_ctx = config["context"]
    params.n_parallel = config["parallel"]
    # One pool: a single request may use all of it.
    params.kv_unified = True
    params.cache_ram_mib = PROMPT_CACHE_MIB
    params.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(path, 0.0) for path in config["adapters"]]
    params.lora_init_without_apply = True
    return params


def _embedding(config: Config, key: str) -> "xllamacpp.CommonParams":
    params = _common(config, config["embedding"], config["embedding_path"], key)
    window = config["embedding_window"]
    params.embedding = True
    params.n_parallel = EMBEDDING_SEQUENCES
    params.n_ctx = EMBEDDING_SEQUENCES * window
    # A text is never split over two batches, so a batch must fit the longest.
    params.n_batch = params.n_ubatch = window
    return params


def _common(config: Config, name: str, path: str, key: str) -> "xllamacpp.CommonParams":
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = path
    params.model_alias = {name}
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.api_keys = [key]
    params.ui = False
    params.endpoint_metrics = params.endpoint_props = params.endpoint_slots = True
    params.verbosity = 2
    params.warmup = False
    params.n_gpu_layers = config["gpu_layers"]
    # Fitting loads the model twice, and is useless without a GPU.
    params.fit_params = len(xllamacpp.get_device_info()) > 1
    if config["threads"]:
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = config["threads"]
    return params


@contextlib.contextmanager
def _published_state(state: State):
    """Publishes the state file, atomically and readable by its owner only, while the body runs."""
    path = Path(f"llamacpp-{state['fingerprint']}.json")
    draft = path.with_suffix(f".{state['pid']}")
    with os.fdopen(system.open_private(draft, truncate=True), "w") as file:
        json.dump(state, file)
    draft.replace(path)
    try:
        yield path
    finally:
        system.remove(path)


def _wait_until_idle(
    servers: "list[xllamacpp.Server]", state: Path, seconds: float, stop: threading.Event
) -> None:
    """Returns when ``servers`` were idle for ``seconds``, or when ``stop`` is set.

    Without its state file no client finds this process: then returns once no request is active.
    """
    last, since = _activity(servers), time.monotonic()
    while not stop.wait(min(seconds / 4, POLL_S)):
        if (now := _activity(servers)) != last:
            last, since = now, time.monotonic()
        elif time.monotonic() - since >= seconds or not state.exists():
            return


def _activity(servers: "list[xllamacpp.Server]") -> list[str]:
    """Returns the servers' counters, which change with any activity.

    They count tokens when a request ends, so the clock is included while a request is active.
    """
    lines = [line for server in servers for line in server.handle_metrics().split("\n")]
    counts = [line for line in lines if line.startswith(COUNTERS)]
    active = any(line.startswith(IN_FLIGHT) and not line.endswith(" 0") for line in lines)
    return [*counts, str(time.monotonic() if active else 0)]
