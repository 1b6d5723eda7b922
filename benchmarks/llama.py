"""A bare llama.cpp server, with its own defaults but for what it is told.

    python -P -m benchmarks.llama PORT MODEL.gguf [NAME=NUMBER ...]

A name is one of xllamacpp's ``CommonParams``, or ``threads``. ``GOMP_SPINCOUNT`` is the caller's to set.
"""

import signal
import sys

import xllamacpp


def main() -> None:
    port, path, *settings = sys.argv[1:]
    params = xllamacpp.CommonParams()
    params.model.path = path
    params.port = int(port)
    params.ui = False
    params.verbosity = 2
    # As `llama-server` has it that was not told its slots: one pool. And no context but the one it is told.
    params.kv_unified = True
    params.fit_params = False
    for name, _, number in (setting.partition("=") for setting in settings):
        if name == "threads":
            params.cpuparams.n_threads = params.cpuparams_batch.n_threads = int(number)
        else:
            setattr(params, name, type(getattr(params, name))(int(number)))
    server = xllamacpp.Server(params)  # it answers for as long as it is held
    print(server.listening_address, flush=True)
    signal.pause()


if __name__ == "__main__":
    main()
