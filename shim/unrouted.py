"""Exception handler for requests that match no route or method."""

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from engines.errors import AgentError
from shim.encoding import json_bytes
from shim.errors import openai_body, rest_body


class RouteError(AgentError):
    """No route matches the request."""

    kind = "caller"
    code = "no_such_route"


async def unrouted(request: Request, error: Exception) -> Response:
    """Returns the error in OpenAI's format under ``/v1/``, else in the REST format."""
    assert isinstance(error, HTTPException)
    path = request.url.path
    fault = RouteError(f"{request.method} {path}: {error.detail}", hint="GET /openapi.json lists the routes")
    body = openai_body(fault) if path.startswith("/v1/") else rest_body(fault)
    return Response(json_bytes(body), error.status_code, error.headers, "application/json")
