"""The OpenAI-compatible ``/v1/responses``."""
