"""The HTTP transports: Streamable HTTP, SSE, `/v1`, REST, dashboard and metrics."""
