"""Model files: the catalogue, downloads, GGUF headers, and the memory a model takes."""
