"""The extract tool."""
