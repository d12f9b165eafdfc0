"""Questions to the built-in model, and the schemas and tools to ask it with."""

import json

from atoma_local import BuiltInBackend

STRING, INTEGER, NUMBER = {"type": "string"}, {"type": "integer"}, {"type": "number"}

PASSAGES = """Passages:

[1] wire.md
## What the proxy sees

- the size of each sealed body
- the time of each request

The proxy does not see prompts.

[2] keys.md
A node key lives until the node restarts. A lock costs 8192 units by default.

[3] bread.md
| Bread | Oven | Minutes |
|---|---|---|
| Rye | 230 degrees | 55 |
| Wheat | 210 degrees | 40 |

Question: """


def ask(text, **parameters):
    messages = text if isinstance(text, list) else [{"role": "user", "content": text}]
    return BuiltInBackend().chat({"model": "m", "messages": messages, **parameters})


def say(text, **parameters):
    return ask(text, **parameters)["choices"][0]["message"]["content"]


def tool(name, description="", /, **properties):
    required = [name for name in properties if not name.endswith("_")]
    properties = {name.rstrip("_"): schema for name, schema in properties.items()}
    schema = {"type": "object", "properties": properties, "required": required}
    function = {"name": name, "description": description, "parameters": schema}
    return {"type": "function", "function": function}


def calls(text, *tools, **parameters):
    message = ask(text, tools=[*tools], **parameters)["choices"][0]["message"]
    return [
        (call["function"]["name"], json.loads(call["function"]["arguments"] or "{}"))
        for call in message.get("tool_calls", [])
    ]


def an_object(**properties):
    return {"type": "object", "properties": properties, "required": [*properties]}
