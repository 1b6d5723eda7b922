"""The chat tool."""
