"""Model files: catalogue, downloads, GGUF headers, and memory estimates."""
