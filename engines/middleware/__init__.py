"""Wrappers around any engine, each with the ``Engine`` contract."""
