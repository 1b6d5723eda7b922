"""Runs a bare llama.cpp server with its own defaults except for the given settings.

    python -P -m benchmarks.llama PORT MODEL.gguf [NAME=NUMBER ...]

A name is one of xllamacpp's ``CommonParams``, or ``threads``. ``GOMP_SPINCOUNT`` is the caller's to set.
"""

import sys
import threading

import xllamacpp


def main() -> None:
    port, path, *settings = sys.argv[1:]
    params = xllamacpp.CommonParams()
    params.model.path = path
    params.port = int(port)
    params.ui = False
    params.verbosity = 2
    # As `llama-server` without a number of slots: one pool. The context is the given one.
    params.kv_unified = True
    params.fit_params = False
    for name, _, number in (setting.partition("=") for setting in settings):
        if name == "threads":
            params.cpuparams.n_threads = params.cpuparams_batch.n_threads = int(number)
        else:
            setattr(params, name, type(getattr(params, name))(int(number)))
    server = xllamacpp.Server(params)  # runs until it is garbage collected
    print(server.listening_address, flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main()
