"""Implementations of ``Engine``, one package each, imported when built."""
