"""Fixture tools and a prompt that request input from the client.

Older clients are asked during the call, newer ones by an input-required result. Names, keys and questions
are the suites'.
"""

from typing import Any

from mcp.server.mcpserver import Context
from mcp.server.mcpserver.prompts.base import UserMessage
from mcp.shared.exceptions import MCPError
from mcp.types import (
    MISSING_REQUIRED_CLIENT_CAPABILITY,
    CreateMessageRequest,
    CreateMessageRequestParams,
    ElicitRequest,
    ElicitRequestFormParams,
    ElicitResult,
    InputRequest,
    InputRequiredResult,
    ListRootsRequest,
    SamplingMessage,
    TextContent,
)

Schema = dict[str, Any]
Asked = str | InputRequiredResult

DEFAULTS: Schema = {
    "name": {"type": "string", "default": "John Doe"},
    "age": {"type": "integer", "default": 30},
    "score": {"type": "number", "default": 95.5},
    "status": {"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
    "verified": {"type": "boolean", "default": True},
}
PLAIN = ["option1", "option2", "option3"]
TITLED = [{"const": f"value{n}", "title": f"Option {n}"} for n in (1, 2, 3)]
ENUMS: Schema = {
    "untitledSingle": {"type": "string", "enum": PLAIN},
    "titledSingle": {"type": "string", "oneOf": TITLED},
    "legacyEnum": {
        "type": "string",
        "enum": PLAIN,
        "enumNames": ["Option One", "Option Two", "Option Three"],
    },
    "untitledMulti": {"type": "array", "items": {"type": "string", "enum": PLAIN}},
    "titledMulti": {"type": "array", "items": {"anyOf": TITLED}},
}


# During the call


async def test_sampling(prompt: str, ctx: Context) -> str:
    """Ask the client's model."""
    said = await ctx.session.create_message(  # pyright: ignore[reportDeprecated]  (the suite's older revisions)
        messages=[message(prompt)], max_tokens=100, related_request_id=ctx.request_id
    )
    return f"LLM response: {said.content.text if isinstance(said.content, TextContent) else ''}"


async def test_elicitation(message: str, ctx: Context) -> str:
    """Ask the user."""
    return await elicited(ctx, message, {"username": {"type": "string"}, "email": {"type": "string"}})


async def test_elicitation_sep1034_defaults(ctx: Context) -> str:
    """Ask the user, with an answer proposed for every type."""
    return await elicited(ctx, "Who are you?", DEFAULTS)


async def test_elicitation_sep1330_enums(ctx: Context) -> str:
    """Ask the user to choose, in each way there is."""
    return await elicited(ctx, "Which?", ENUMS)


async def elicited(ctx: Context, question: str, properties: Schema) -> str:
    schema = {"type": "object", "properties": properties, "required": list(properties)}
    answer = await ctx.session.elicit_form(question, schema, ctx.request_id)
    return f"Elicitation completed: action={answer.action}, content={answer.content}"


async def test_missing_capability(ctx: Context) -> str:
    """Only for clients that can sample."""
    can = ctx.session.client_capabilities
    if can is None or can.sampling is None:
        raise MCPError(
            MISSING_REQUIRED_CLIENT_CAPABILITY,
            "the client cannot sample",
            {"requiredCapabilities": {"sampling": {}}},
        )
    return "it can"


# By an input-required result


async def test_input_required_result_elicitation(ctx: Context) -> Asked:
    """Done once the user's name is there."""
    if "user_name" in (ctx.input_responses or {}):
        return f"Hello, {answered(ctx, 'user_name', 'name')}!"
    return InputRequiredResult(input_requests={"user_name": form("What is your name?", "name")})


async def test_input_required_result_sampling(ctx: Context) -> Asked:
    """Done once the client's model has answered."""
    if "capital_question" in (ctx.input_responses or {}):
        return "the model answered"
    return InputRequiredResult(input_requests={"capital_question": sample("What is the capital of France?")})


async def test_input_required_result_list_roots(ctx: Context) -> Asked:
    """Done once the client has named its roots."""
    if "client_roots" in (ctx.input_responses or {}):
        return "there are roots"
    return InputRequiredResult(input_requests={"client_roots": ListRootsRequest()})


async def test_input_required_result_request_state(ctx: Context) -> Asked:
    """Done once our own note comes back with the answer."""
    if ctx.request_state == "noted" and "confirm" in (ctx.input_responses or {}):
        return "state-ok"
    return confirmation("noted")


async def test_input_required_result_tampered_state(ctx: Context) -> Asked:
    """Never done with a note that is not ours: the SDK refuses it before we are called."""
    return "state-ok" if ctx.request_state == "noted" else confirmation("noted")


async def test_input_required_result_multiple_inputs(ctx: Context) -> Asked:
    """Done once three different questions are answered."""
    wanted: dict[str, InputRequest] = {
        "user_name": form("What is your name?", "name"),
        "greeting": sample("Generate a greeting"),
        "client_roots": ListRootsRequest(),
    }
    if wanted.keys() <= (ctx.input_responses or {}).keys():
        return "everything is there"
    return InputRequiredResult(input_requests=wanted, request_state="asked")


async def test_input_required_result_multi_round(ctx: Context) -> Asked:
    """Done after two questions, one after the other."""
    answers, state = ctx.input_responses or {}, ctx.request_state
    if state == "second" and "step2" in answers:
        return f"likes {answered(ctx, 'step2', 'color')}"
    if state == "first" and "step1" in answers:
        second = form("Step 2: What is your favorite color?", "color")
        return InputRequiredResult(input_requests={"step2": second}, request_state="second")
    first = form("Step 1: What is your name?", "name")
    return InputRequiredResult(input_requests={"step1": first}, request_state="first")


async def test_input_required_result_capabilities(ctx: Context) -> InputRequiredResult:
    """Asks only what the client says it can answer."""
    can = ctx.client_capabilities
    wanted: dict[str, InputRequest] = {}
    if can is not None and can.sampling is not None:
        wanted["sample"] = sample("Say hello")
    if can is not None and can.elicitation is not None:
        wanted["ask"] = form("What is your name?", "name")
    return InputRequiredResult(input_requests=wanted, request_state="asked")


async def test_input_required_result_prompt(ctx: Context) -> list[UserMessage] | InputRequiredResult:
    """A prompt that needs an answer first."""
    if "user_context" in (ctx.input_responses or {}):
        context = answered(ctx, "user_context", "context")
        return [UserMessage(TextContent(text=f"Use the following context: {context}"))]
    question = form("What context should the prompt use?", "context")
    return InputRequiredResult(input_requests={"user_context": question})


def form(question: str, name: str, kind: str = "string") -> ElicitRequest:
    schema: Schema = {"type": "object", "properties": {name: {"type": kind}}, "required": [name]}
    return ElicitRequest(params=ElicitRequestFormParams(message=question, requested_schema=schema))


def confirmation(state: str) -> InputRequiredResult:
    asked = form("Please confirm", "ok", "boolean")
    return InputRequiredResult(input_requests={"confirm": asked}, request_state=state)


def message(words: str) -> SamplingMessage:
    return SamplingMessage(role="user", content=TextContent(text=words))


def sample(words: str) -> CreateMessageRequest:
    return CreateMessageRequest(params=CreateMessageRequestParams(messages=[message(words)], max_tokens=50))


def answered(ctx: Context, key: str, name: str) -> str:
    """Returns the value of one field of a filled-in form."""
    match (ctx.input_responses or {})[key]:
        case ElicitResult(content=content) if content:
            return str(content.get(name))
        case _:
            return ""


TOOLS = (
    test_sampling,
    test_elicitation,
    test_elicitation_sep1034_defaults,
    test_elicitation_sep1330_enums,
    test_missing_capability,
    test_input_required_result_elicitation,
    test_input_required_result_sampling,
    test_input_required_result_list_roots,
    test_input_required_result_request_state,
    test_input_required_result_tampered_state,
    test_input_required_result_multiple_inputs,
    test_input_required_result_multi_round,
    test_input_required_result_capabilities,
)
