"""What a hostile relay does to an answer, and the wire on which it does it."""

import contextlib
import json
import warnings

import httpx
from scripted import ScriptedEngine

from atoma_confidential import Client
from atoma_local import FaultRelay, LocalAtoma
from atoma_local._event_shapes import Each, EventShape, is_event_stream
from atoma_local._http_trace import parse_messages
from atoma_local.network_faults import NetworkFault

CHAT = "meta-llama/Llama-3.3-70B-Instruct"
ON = "/v1/confidential/"
QUESTION = "How many bottles does the wine cellar of Ostheim hold?"
MESSAGES = [{"role": "user", "content": QUESTION}]

PIECES = ["The cellar ", "of Ostheim ", "does not ", "hold ", "4711 ", "bottles."]
RIGHT = "".join(PIECES)
OTHER = ["It ", "does ", "hold ", "4711 ", "of ", "them."]
FINISH, USAGE = len(PIECES), len(PIECES) + 1


class Cellar(ScriptedEngine):
    """Answers in a chunk for each piece, and each answer has an id of its own."""

    def __init__(self):
        super().__init__()
        self.say(PIECES)

    def say(self, pieces):
        self.message = {"role": "assistant", "content": "".join(pieces)}
        deltas = [{"delta": {"role": "assistant", "content": p}} for p in pieces]
        self.chunks = [*deltas, {"delta": {}, "finish_reason": "stop"}]

    def _head(self, body):
        return super()._head(body) | {"id": f"chatcmpl-{len(self.asked)}"}


def text_of(chunks, into=None):
    into = [] if into is None else into
    for chunk in chunks:
        into += [choice["delta"].get("content") or "" for choice in chunk["choices"]]
    return "".join(into)


class Wire:
    """A local Atoma, the relay in front of it, and what the relay has seen.

    Attributes:
        stream: The events of an earlier stream.
        whole: The body of an earlier answer that was no stream.
        unfinished: Whether the relay itself has failed.
    """

    def __init__(self, nonces):
        self.unfinished = False
        self.engine = Cellar()
        self.atoma = LocalAtoma(backend=self.engine, nonces=nonces)
        self._exits = contextlib.ExitStack()

    def __enter__(self):
        self._exits.enter_context(self.atoma)
        self.relay = self._exits.enter_context(FaultRelay(self.atoma.base_url))
        self.stream = _events(self._ask_by_itself("live"))
        self.whole = self._ask_by_itself("buffered")
        return self

    def __exit__(self, *error):
        self._exits.__exit__(*error)

    @property
    def settings(self):
        return {"api_key": self.atoma.api_key, "base_url": self.relay.base_url}

    def arm(self, action):
        """Do this to every answer from now on."""
        self._before = {id(c): len(c.sent) for c in self.relay.connections}
        events, whole = ACTIONS[action](self)
        faults = self.relay.faults
        if events:
            faults.always(events, on=ON)
        faults.always(NetworkFault("reply", lambda: _Whole(whole), ""), on=ON)

    def disarm(self):
        """Behave again."""
        self.relay.faults.clear()
        assert not self.unfinished

    def sent(self, path):
        """The last request with such a path since the relay was armed."""
        messages = [
            message
            for one in self.relay.connections
            for message in parse_messages(
                bytes(one.sent[self._before.get(id(one), 0) :])
            )
        ]
        return [m for m in messages if m.start_line.split(" ")[1].startswith(path)][-1]

    def ask_again(self):
        """Have the node answer the same request once more, in other words."""
        self.unfinished = True
        self.engine.say(OTHER)
        with httpx.Client(base_url=self.atoma.base_url) as http:
            _post(http, self.sent("/v1/nodes/lock"))
            answer = _post(http, self.sent(ON))
        self.engine.say(PIECES)
        self.unfinished = False
        return answer

    def reflected(self):
        """The request, as if it were an answer."""
        sent = self.sent(ON).json()
        return _dump(
            {
                "ciphertext": sent["ciphertext"],
                "nonce": sent["nonce"],
                "signature": json.loads(self.whole)["signature"],
                "response_hash": sent["plaintext_body_hash"],
            }
        )

    def _ask_by_itself(self, mode):
        with (
            warnings.catch_warnings(action="ignore"),
            Client(stream_mode=mode, **self.settings) as client,
        ):
            assert text_of(client.stream_chat(MESSAGES, model=CHAT)) == RIGHT
        return self.relay.responses[-1].body


def _post(http, message):
    """Send a recorded request once more, and return the body of the answer."""
    left_out = {"host", "content-length", "connection"}
    headers = {k: v for k, v in message.headers.items() if k not in left_out}
    path = message.start_line.split(" ")[1]
    answer = http.post(path, headers=headers, content=message.body)
    return answer.raise_for_status().content


def _dump(value):
    return json.dumps(value, separators=(",", ":")).encode()


def _event(data):
    return b"data: " + data + b"\n\n"


def _events(body):
    events = [e + b"\n\n" for e in body.split(b"\n\n") if e.startswith(b"data:")]
    assert len(events) == USAGE + 1
    return events


_CLEAR = {"role": "assistant", "content": "in clear"}
_CHOICE = {"index": 0, "delta": _CLEAR, "message": _CLEAR, "finish_reason": "stop"}
_ANSWER = {"id": "chatcmpl-1", "model": CHAT, "choices": [_CHOICE], "usage": {}}


def _beside(data):
    """The fields of an answer in clear beside those of a sealed one."""
    return _dump(json.loads(data) | _ANSWER)


def _in_clear(_data):
    return _dump(_ANSWER)


def _unchanged(data):
    return data


class _Whole:
    """A fault of the network that changes the body of a reply that is no stream."""

    def __init__(self, edit):
        self._edit = edit
        self._reply = b""
        self._passes = False

    def feed(self, data):
        self._reply += data
        head, _, body = self._reply.partition(b"\r\n\r\n")
        self._passes = self._passes or is_event_stream(self._reply)
        if self._passes:
            yield data
        elif b"content-length: %d" % len(body) in head:
            body = self._edit(body)
            lines = [n for n in head.split(b"\r\n") if b"content-length" not in n]
            lines.append(b"content-length: %d\r\n\r\n%b" % (len(body), body))
            yield b"\r\n".join(lines)


def _changed(number, change):
    """Put something else in the place of one event."""
    return NetworkFault(
        "events",
        lambda: EventShape(
            Each(lambda n, event: (change(event) if n == number else event,))
        ),
        "",
    )


# For each: what is done to a stream, and what to an answer that is no stream. Such an
# answer has no chunks that could be deleted, swapped or doubled.
ACTIONS = {
    "nothing": lambda _: (None, _unchanged),
    "delete a chunk of text": lambda _: ("event-dropped:2", _unchanged),
    "delete the finish": lambda _: (f"event-dropped:{FINISH}", _unchanged),
    "delete the usage": lambda _: (f"event-dropped:{USAGE}", _unchanged),
    "swap two chunks of text": lambda _: ("event-reordered:2", _unchanged),
    "swap the last text and the finish": lambda _: (
        f"event-reordered:{FINISH - 1}",
        _unchanged,
    ),
    "send a chunk twice": lambda _: ("event-duplicated:2", _unchanged),
    "cut inside a chunk": lambda _: ("event-torn:2", lambda body: body[:300]),
    "cut at a boundary": lambda _: ("events-ended:3", lambda _: b""),
    "cut after the finish": lambda _: (f"events-ended:{USAGE}", _unchanged),
    "insert clear text": lambda _: ("event-injected:2", _in_clear),
    "add clear text to a sealed chunk": lambda _: (
        _changed(2, lambda event: _event(_beside(event.removeprefix(b"data: ")))),
        _beside,
    ),
    "put in a chunk of another stream": lambda wire: (
        _changed(2, lambda _: wire.stream[2]),
        lambda _: wire.whole,
    ),
    "have the request answered twice, and mix": lambda wire: (
        _changed(2, lambda _: _events(wire.ask_again())[2]),
        lambda _: wire.ask_again(),
    ),
    "reflect the request": lambda wire: (
        _changed(2, lambda _: _event(wire.reflected())),
        lambda _: wire.reflected(),
    ),
}
