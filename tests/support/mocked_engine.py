"""An engine that is a function, and a stream of one."""

import json

import httpx

from atoma_local import UpstreamBackend

MODEL = "meta-llama/Llama-3.3-70B-Instruct"
QUESTION = "The heliotrope meadow is blue. Which colour has the heliotrope meadow?"
BODY = {"model": MODEL, "messages": [{"role": "user", "content": QUESTION}]}
EVENT_STREAM = {"content-type": "text/event-stream; charset=utf-8"}
# Engines write what Unicode takes for a line separator into JSON as it is.
EVENTS = [{"id": "a", "text": "é\u2028\u2029\x85 "}, {"id": "b"}]
STREAM = "".join(f"data: {json.dumps(e, ensure_ascii=False)}\n\n" for e in EVENTS)


def mock(answer, url="http://engine.invalid/v1/"):
    transport = httpx.MockTransport(answer)
    return UpstreamBackend(url, "secret-token", transport=transport)
