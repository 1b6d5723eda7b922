"""The console script, and ``python -P -m mcp_server``.

Hosts start us in the user's project, which may own a ``tools/`` or an ``engines.py`` of its own. So
before anything of ours is imported, our four package names are claimed from where this file lies.
Until then only the standard library's ``importlib``, ``os`` and ``sys`` are.
"""

import importlib
import os
import sys

ROOMS = ("engines", "tools", "shim", "mcp_server")


def claim_rooms() -> None:
    """Import our packages from our own root, whatever the working folder or PYTHONPATH holds.

    Once in ``sys.modules`` they cannot be replaced; their modules are found through them.
    """
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    here = os.getcwd()
    kept = [entry for entry in sys.path if here == root or os.path.realpath(entry or here) != here]
    sys.path[:] = [root, *kept]
    for room in ROOMS:
        found = importlib.import_module(room)
        if os.path.dirname(os.path.dirname(os.path.abspath(found.__file__ or ""))) != root:
            raise SystemExit(f"local-llm-agent: the package {room!r} is not ours but {found.__file__}")
    sys.path[:] = kept


def main() -> None:
    """Run the command line and exit with its code."""
    claim_rooms()
    from mcp_server.cli.parser import run

    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
