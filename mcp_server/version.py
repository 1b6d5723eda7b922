"""The version of this distribution."""

from importlib.metadata import PackageNotFoundError, version


def _read() -> str:
    try:
        return version("local-llm-agent")
    except PackageNotFoundError:  # a bare checkout on sys.path
        return "0"


VERSION = _read()
