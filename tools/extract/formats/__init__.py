"""Parsers of output formats of test runners."""
