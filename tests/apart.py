"""Code that runs an event loop of its own, called from a test.

A fixture of the session keeps its loop's thread, and no second loop may run in that.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def apart(work: Callable[[], T]) -> T:
    """``work`` in a thread of its own, waited for."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result()
