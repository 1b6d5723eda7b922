"""Ollama, through its native API."""
