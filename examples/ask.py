"""Uses OpenAI's Python client with a local model: `local-llm-agent serve`, then `python examples/ask.py`."""

import os

from openai import OpenAI

client = OpenAI(
    base_url=os.environ.get("LOCAL_LLM_URL", "http://127.0.0.1:3160/v1"),
    api_key=os.environ.get("LOCAL_LLM_TOKEN", "none"),
)
schema = {
    "type": "object",
    "properties": {"severity": {"enum": ["low", "high"]}, "component": {"type": "string"}},
    "required": ["severity", "component"],
    "additionalProperties": False,
}
answer = client.chat.completions.create(
    model="small",
    messages=[{"role": "user", "content": "ERROR db: no space left on device"}],
    response_format={
        "type": "json_schema",
        "json_schema": {"name": "line", "strict": True, "schema": schema},
    },
)
print(answer.choices[0].message.content)
print("receipt:", (answer.model_extra or {})["receipt"])
