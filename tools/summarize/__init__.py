"""The summarize tool."""
