"""Runs code that starts its own event loop from within a test.

A session fixture keeps its event loop running in its thread, where no second loop may run.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def apart(work: Callable[[], T]) -> T:
    """Runs ``work`` in a new thread and returns its result."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result()
