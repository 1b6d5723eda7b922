"""Embeddings for OpenAI's clients; agents are not offered this tool."""
