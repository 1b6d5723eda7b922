"""Results files as MCP resources: the link in a tool's result, and their pages.

    local-llm://results/NAME                  the first page: JSON lines, then {"next": URI of the next page}
    local-llm://results/NAME?after=40         the page after 40 rows
    local-llm://results/NAME?after=40&at=4500 the rest of row 41, which is longer than a page

They are not listed: a name is known only to who got the answer (``tools/pipeline/results.py``).
"""

import re
from collections.abc import Mapping

from mcp.types import ResourceLink, ResourceTemplate, TextResourceContents

from engines.base import JsonValue
from tools.pipeline.results import URI, Cursor, ResultFiles, UnknownResultsError
from tools.pipeline.structured import compact

MIME_TYPE = "application/jsonl"

TEMPLATE = ResourceTemplate(
    name="results",
    title="Results of a long answer",
    uri_template=f"{URI}{{name}}{{?after,at}}",
    description="Every item as a JSON line, in pages; each page ends with the URI of the next.",
    mime_type=MIME_TYPE,
)

LINKS_SINCE = "2025-06-18"
"""Protocol version from which a client knows resource links."""

_URI = re.compile(
    rf"{re.escape(URI)}(?P<name>[^?]*)(?:\?after=(?P<after>\d{{1,12}})(?:&at=(?P<at>\d{{1,12}}))?)?"
)


def links(fields: Mapping[str, JsonValue], version: str) -> list[ResourceLink]:
    """Returns the link to the results file of an answer, if it has one and the client knows links."""
    uri = fields.get("results_uri")
    if not isinstance(uri, str) or version < LINKS_SINCE:
        return []
    return [ResourceLink(name="results", uri=uri, mime_type=MIME_TYPE)]


async def read_page(results: ResultFiles | None, uri: str) -> TextResourceContents:
    """Returns the page of a results file at ``uri``.

    Raises:
        UnknownResultsError: there is no such file.
    """
    asked = _URI.fullmatch(uri)
    if results is None or asked is None:
        raise UnknownResultsError(
            f"there are no results at {uri[:200]}", hint=f"read {TEMPLATE.uri_template}"
        )
    name = asked["name"]
    page = await results.page(name, Cursor(int(asked["after"] or 0), int(asked["at"] or 0)))
    text = page.text
    if page.next:
        at = f"&at={page.next.at}" if page.next.at else ""
        line = compact({"next": f"{URI}{name}?after={page.next.after}{at}"})
        text = "\n".join([text.removesuffix("\n"), line, ""])
    return TextResourceContents(uri=uri, mime_type=MIME_TYPE, text=text)
