"""The console script, and ``python -P -m mcp_server``.

Hosts start the server in the user's project, which may contain a ``tools/`` or an ``engines.py`` of its
own. ``claim_packages`` therefore imports the four packages from this installation before any other import
of them. This module imports only ``importlib``, ``os`` and ``sys`` at the top.
"""

import importlib
import os
import sys

PACKAGES = ("engines", "tools", "shim", "mcp_server")


def claim_packages() -> None:
    """Import ``PACKAGES`` from this installation, whatever the working folder or PYTHONPATH contains.

    Python finds their modules through the packages in ``sys.modules``, so later imports are safe too.
    """
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    here = os.getcwd()
    kept = [entry for entry in sys.path if here == root or os.path.realpath(entry or here) != here]
    sys.path[:] = [root, *kept]
    for package in PACKAGES:
        found = importlib.import_module(package)
        if os.path.dirname(os.path.dirname(os.path.abspath(found.__file__ or ""))) != root:
            raise SystemExit(f"local-llm-agent: the package {package!r} is not ours but {found.__file__}")
    sys.path[:] = kept


def main() -> None:
    """Run the command line and exit with its code."""
    try:
        claim_packages()
        from mcp_server.cli.parser import run

        code = run(sys.argv[1:])
    except KeyboardInterrupt:
        code = 130
    sys.exit(code)


if __name__ == "__main__":
    main()
