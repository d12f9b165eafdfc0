"""Streams of the official SDK, one for each line on standard input.

Arguments: the server's URL, the API key, the model, the question. Prints, for each, the
text that was delivered, and the name of the error that ended it.
"""

import json
import sys

from atoma_sdk import AtomaSDK

URL, KEY, MODEL, QUESTION = sys.argv[1:5]
CHAT = {"model": MODEL, "messages": [{"role": "user", "content": QUESTION}]}


def stream(sdk):
    said = []
    try:
        with sdk.confidential_chat.create_stream(**CHAT) as events:
            for event in events:
                said += [choice.delta.content or "" for choice in event.data.choices]
    except Exception as error:  # noqa: BLE001  which one it is, is what is measured
        package, *_ = type(error).__module__.split(".")
        return "".join(said), f"{package}.{type(error).__name__}"
    return "".join(said), None


with AtomaSDK(bearer_auth=KEY, server_url=URL) as client:
    for _ in sys.stdin:
        print(json.dumps(stream(client)), flush=True)  # noqa: T201
