"""Any server with OpenAI's API, such as LM Studio or llama.cpp's server."""
