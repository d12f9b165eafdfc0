"""What an engine answers a chat with, whole or in chunks, and the stream of that."""

import json

from atoma_confidential._reply import StreamOpener
from atoma_confidential.envelope import seal

ANSWER = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 7,
    "model": "m",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Hi there"},
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
}


def chunk(*choices, **more):
    return {"id": "chatcmpl-1", "object": "chat.completion.chunk"} | {
        "choices": list(choices),
        **more,
    }


def choice(content=None, finish_reason=None, index=0, **delta):
    delta |= {} if content is None else {"content": content}
    return {"index": index, "delta": delta, "finish_reason": finish_reason}


HI = chunk(choice("Hi", role="assistant"))
THERE = chunk(choice(" there"))
STOP = chunk(choice(finish_reason="stop"))
USAGE = chunk(usage=ANSWER["usage"])
WHOLE = [HI, THERE, STOP, USAGE]


class Wire:
    """One sealed request, and the stream that answers it."""

    def __init__(self, node, **options):
        self.node = node
        self.envelope, self.opener = seal(node.recipient, b"{}")
        self.stream = StreamOpener(self.opener, **options)

    def event(self, value, **options):
        return self.node.event(self.envelope, value, **options)

    def events(self, values, **options):
        return b"".join(self.event(value, **options) for value in values)

    def feed(self, data):
        return list(self.stream.feed(data))


def plain(values):
    return b"".join(b"data: " + json.dumps(v).encode() + b"\n\n" for v in values)
