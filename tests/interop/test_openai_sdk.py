"""The OpenAI SDK, 2.x and 3.x, sealed by a transport or a proxy: as in clear."""

import json
from pathlib import Path

import pytest
from openai_server import openai_server
from proxied import proxied
from shells import CHAT, EMBEDDING

CALLS = Path(__file__).with_name("openai_calls.py")
# Of one answer, and not of another to the same question.
OF_ONE = {"id", "created"}


@pytest.fixture(params=["2", "3"])
def ask(request, run, openai_pythons):
    """Run calls with one version of the SDK."""

    def ask(name, **arguments):
        python = openai_pythons[request.param]
        told = json.loads(run(python, CALLS, json.dumps([name, arguments])))
        assert told["version"].split(".")[0] == request.param
        return told["said"]

    return ask


def where(atoma):
    return {"url": atoma.base_url, "key": atoma.api_key}


def comparable(value):
    if isinstance(value, dict):
        return {
            name: type(v).__name__ if name in OF_ONE else comparable(v)
            for name, v in value.items()
        }
    if isinstance(value, list):
        return [comparable(item) for item in value]
    return value


def test_the_same_objects_come_sealed_and_plain(atoma, ask, canary, no_plaintext):
    question = (
        f"Passage: The cellar ({canary}) holds 4711 bottles.\n\n"
        "Question: How many bottles does the cellar hold?"
    )
    no_plaintext(question, "4711 bottles")
    asked = [CHAT, EMBEDDING, question]
    with openai_server() as url, proxied(atoma, stream_mode="live") as proxy:
        servers = {"plain": {"base_url": url, "api_key": "any"}, "proxy": proxy.sdk}
        said = ask("same", sealed=where(atoma), **servers, asked=asked)

    for way in ("sync", "async"):
        for name in ("sealed", "proxied"):
            assert comparable(said[name][way]) == comparable(said["plain"][way])
            assert said[name][way]["models"] == said["plain"][way]["models"]
    check_that_they_say_something(said["sealed"]["sync"])
    assert set(said["buffered"]) == {"events", "structured events", "events of tools"}
    for name, events in said["buffered"].items():
        assert outcome(events) == outcome(said["plain"]["sync"][name])
    assert atoma.violations == []
    assert any(canary in str(opened.body) for opened in atoma.opened)


def outcome(events):
    """What a stream's last snapshot says, which one chunk makes as well as many."""
    (choice,) = events[-1]["choices"]
    message = choice["message"]
    calls = [call["function"] for call in message.get("tool_calls") or ()]
    said = [
        (call["name"], call["arguments"], call["parsed_arguments"]) for call in calls
    ]
    parsed = message.get("parsed")
    return choice["finish_reason"], message["content"] or "", parsed, said


def check_that_they_say_something(calls):
    (choice,) = calls["chat"]["choices"]
    assert "4711" in choice["message"]["content"]
    assert len(calls["two"]["choices"]) == 2
    for name in ("tools", "parsed tools"):
        (call,) = calls[name]["choices"][0]["message"]["tool_calls"]
        assert json.loads(call["function"]["arguments"]) == {"a": 17, "b": 25}
    parsed = calls["structured"]["choices"][0]["message"]["parsed"]
    assert parsed == {"class": "Bottles", "bottles": 4711}
    assert len(calls["stream"]) > 3
    assert calls["stream with usage"][-1]["usage"]["total_tokens"] > 0
    assert len(calls["stream of tools"]) > 1
    for name in ("events", "structured events", "events of tools"):
        assert "CompletionUsage" not in str(calls[name][0])
        assert len(calls[name]) > 3
    assert len(calls["vector"]["data"][0]["embedding"]) == 384
    assert CHAT in str(calls["models"])


STREAM = {"stream": True}
LATE = {"timeout": 0.3}

# fault, what is asked besides, class, status, exposure, locks and sealed requests of it
FAILURES = [
    ("tag-tampered", {}, "OpenError", None, "SEALED", 1, 1),
    ("hash-wrong", {}, "DigestMismatchError", None, "SEALED", 1, 1),
    ("reflection", {}, "ReflectionError", None, "SEALED", 1, 1),
    ("reply-gzip", {}, "RemoteProtocolError", None, "SEALED", 1, 1),
    ("lock-key-zero", {}, "UnusableKeyError", None, "LOCK", 1, 0),
    ("post-307", {}, "ServerError", 307, "SEALED", 1, 1),
    ("tag-tampered", STREAM, "OpenError", None, "SEALED", 1, 1),
    ("stream-truncated:2", STREAM, "StreamTruncatedError", None, "SEALED", 1, 1),
    (None, {"n": 2} | STREAM, "InvalidInputError", None, "NOTHING", 0, 0),
    # With the status that was sent, and the class that the SDK has for it.
    ("lock-401", {}, "AuthenticationError", 401, None, 1, 0),
    ("lock-402", {}, "APIStatusError", 402, None, 1, 0),
    ("post-429", {}, "RateLimitError", 429, None, 1, 1),
    ("post-429", STREAM, "RateLimitError", 429, None, 1, 1),
    ("lock-503", {}, "InternalServerError", 503, None, 1, 0),
    ("post-400-context", {}, "BadRequestError", 400, None, 1, 1),
    # Timeouts are the SDK's affair: three tries, as with any server.
    ("post-silent", LATE, "APITimeoutError", None, "SEALED", 3, 3),
]


def test_what_fails_is_neither_repeated_nor_disguised(make_atoma, ask, canary):
    atomas = [make_atoma() for _ in FAILURES]
    for atoma, (fault, *_) in zip(atomas, FAILURES, strict=True):
        if fault:
            atoma.faults.always(fault)
    cases = [
        where(atoma) | {"more": more}
        for atoma, (_, more, *_) in zip(atomas, FAILURES, strict=True)
    ]
    said = ask("failures", cases=cases, model=CHAT, question=f"Which word? {canary}")

    for number, (fault, more, kind, status, exposure, *counts) in enumerate(FAILURES):
        for way in ("sync", "async"):
            error = said[way][number]
            shown = [error[name] for name in ("class", "status", "exposure")]
            assert shown == [kind, status, exposure], (fault, more, way, error)
            assert ("atoma_confidential" in error["bases"]) == (
                exposure is not None and fault != "post-silent"
            )
            assert error["sdk"]
            assert canary not in error["said"]
        paths = [exchange.path for exchange in atomas[number].exchanges]
        locks = paths.count("/v1/nodes/lock")
        assert [locks, len(paths) - locks] == [2 * n for n in counts], (fault, more)
