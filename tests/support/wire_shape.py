"""What an OpenAI-shaped engine takes as messages: nothing else may be sent to one."""

import json

from atoma_confidential import _json

_PARTS = {
    "text": {"text": str},
    "image_url": {"image_url": {"url": str}},
    "input_audio": {"input_audio": {"data": str, "format": str}},
    "file": {"file": {"filename": str, "file_data": str}},
}
_CALL = {"id": str, "type": str, "function": {"name": str, "arguments": str}}
_FIELDS = {
    "assistant": {"tool_calls", "refusal", "function_call", "reasoning_content"},
    "tool": {"tool_call_id"},
}


def check_messages(messages):
    """Return the messages as a node reads them, each held to the shape of its role."""
    for message in messages:
        _check(message)
    read = json.loads(_json.dump(messages))
    assert read == messages
    return read


def _check(message):
    role, content = message["role"], message["content"]
    assert isinstance(role, str)
    allowed = {"role", "content", "name"} | _FIELDS.get(role, set())
    assert message.keys() <= allowed, message.keys() - allowed
    assert isinstance(message.get("name", ""), str)
    if content is None:
        assert message["tool_calls"]
    elif not isinstance(content, str):
        assert content, "an empty list of parts"
        for part in content:
            fields = {"type": str} | _PARTS[part["type"]]
            _fits(part, fields, optional={"image_url": {"detail"}})
    for call in message.get("tool_calls", ()):
        _fits(call, _CALL)
        assert call["type"] == "function"
    assert isinstance(message.get("tool_call_id", ""), str)
    if "function_call" in message:
        _fits(message["function_call"], _CALL["function"])
    for name in ("refusal", "reasoning_content"):
        assert isinstance(message.get(name, ""), str)


def _fits(value, fields, *, optional=None):
    optional = optional or {}
    assert isinstance(value, dict)
    for name, kind in fields.items():
        if isinstance(kind, dict):
            extra = optional.get(name, set())
            inner = {k: v for k, v in value[name].items() if k not in extra}
            assert all(isinstance(value[name].get(e, ""), str) for e in extra)
            _fits(inner, kind)
        else:
            assert isinstance(value[name], kind), name
    assert value.keys() == fields.keys(), value.keys() ^ fields.keys()
