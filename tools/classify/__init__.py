"""The classify tool."""
