"""Parsers of reports with several lines a finding: test runners and stack traces."""
