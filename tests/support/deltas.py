"""Choices of a stream's chunks, as an engine sends them."""

STOPPED = {"finish_reason": "stop"}
END = {"delta": {}, **STOPPED}
CALLED = {"delta": {}, "finish_reason": "tool_calls"}
CUT = {"delta": {}, "finish_reason": "length"}


def text(content, **choice):
    return {"delta": {"content": content}, **choice}


def thought(content, field="reasoning_content"):
    return {"delta": {field: content}}


def calls(*fragments):
    return {"delta": {"tool_calls": list(fragments)}}
