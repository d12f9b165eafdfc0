"""Streams of chat chunks: whole, altered on the way, cut short."""

import json

from node_half import LLAMA, b64, blake2b, compact, flipped, run, sealed, sign, unb64
from reply_cases import ENGINE_ERROR
from request_cases import STREAM

COMMENT = ": keep-alive\n\n"
STREAM_NONCE = run(0xD0, 12)


def chunk(choices: list, **more: object) -> dict:
    return {
        "id": "chatcmpl-00112233445566778899aabbccddeeff",
        "object": "chat.completion.chunk",
        "created": 1755000001,
        "model": LLAMA,
        "choices": choices,
        **more,
    }


def choice(delta: dict, finish_reason: str | None, **more: object) -> dict:
    head = {"index": 0, "delta": delta, "logprobs": None}
    return {**head, "finish_reason": finish_reason, **more}


HI = chunk([choice({"role": "assistant", "content": "Hi"}, None)])
THERE = chunk([choice({"content": " there"}, "stop", stop_reason=None)])
USAGE = chunk(
    [], usage={"prompt_tokens": 11, "total_tokens": 13, "completion_tokens": 2}
)


def event_fields(value: object, nonce: bytes = STREAM_NONCE) -> dict:
    fields = sealed(STREAM, nonce, compact(value))
    usage = {"usage": value["usage"]} if "usage" in value else {}
    ordered = {name: fields[name] for name in ("ciphertext", "nonce")} | usage
    return ordered | {name: fields[name] for name in ("signature", "response_hash")}


def event(fields: object) -> str:
    return f"data: {compact(fields)}\n\n"


def stream(name, expect, http_body, *, opened=(), reuse="tolerated") -> dict:
    return {
        "name": name,
        "expect": expect,
        "request": "chat_streaming",
        "nonce_reuse": reuse,
        "opened_utf8": [compact(value) for value in opened],
        "http_body": http_body,
    }


def streams() -> list[dict]:
    whole = [HI, THERE, USAGE]
    hi, there, usage = map(event, map(event_fields, whole))
    captured = COMMENT + hi + COMMENT * 2 + there + usage
    fresh = [
        event(event_fields(value, run(0xD0 + n, 12))) for n, value in enumerate(whole)
    ]
    bad_tag, bad_hash, no_hash, no_signature = (event_fields(THERE) for _ in range(4))
    bad_tag["ciphertext"] = flipped(bad_tag["ciphertext"], -1)
    bad_hash["response_hash"] = b64(blake2b(b"something else"))
    del no_hash["response_hash"], no_signature["signature"]
    own = json.loads(STREAM.case["http_body"])
    reflected = {name: own[name] for name in ("nonce", "ciphertext")}
    reflected["response_hash"] = own["plaintext_body_hash"]
    reflected["signature"] = b64(sign(unb64(reflected["response_hash"])))
    foreign = event(event_fields(THERE | {"id": "chatcmpl-of-another-answer"}))
    outer_usage = event_fields(THERE) | {"usage": USAGE["usage"]}
    error = event(event_fields(ENGINE_ERROR))
    no_choices = event(event_fields({"id": HI["id"], "object": HI["object"]}))
    no_index = event(event_fields(chunk([{"delta": {}, "finish_reason": "stop"}])))
    return [
        stream("chat", "ok", captured, opened=whole)
        | {"node_nonce_hex": STREAM_NONCE.hex(), "chunks": chunk_cases(whole)}
        | {"keystream_reuse": keystream_reuse(HI, USAGE)},
        stream("fresh_nonces", "ok", "".join(fresh), opened=whole, reuse="refused"),
        stream("reused_nonce", "nonce reuse", captured, opened=[HI], reuse="refused"),
        stream("done_marker", "ok", captured + "data: [DONE]\n\n", opened=whole),
        stream("crlf", "ok", captured.replace("\n", "\r\n"), opened=whole),
        stream("cr", "ok", captured.replace("\n", "\r"), opened=whole),
        stream(
            "other_fields",
            "ok",
            "\ufeffretry: 15\nevent: chunk\nid: 1\n" + hi + there + usage,
            opened=whole,
        ),
        # Events carry no number, so a relay may drop or repeat one unseen.
        stream("dropped_chunk", "ok", there + usage, opened=[THERE, USAGE]),
        stream("repeated_chunk", "ok", hi + hi + there + usage, opened=[HI, *whole]),
        stream("reordered", "malformed", there + hi + usage, opened=[THERE]),
        stream("repeated_end", "malformed", hi + there * 2, opened=[HI, THERE]),
        stream("truncated", "truncated", COMMENT + hi, opened=[HI]),
        stream("without_usage", "truncated", hi + there, opened=[HI, THERE]),
        stream("without_finish", "truncated", hi + usage, opened=[HI, USAGE]),
        stream(
            "usage_in_clear_only",
            "truncated",
            hi + event(outer_usage),
            opened=[HI, THERE],
        ),
        stream("cut_in_an_event", "truncated", captured[:-1], opened=[HI, THERE]),
        stream("comments_only", "truncated", COMMENT * 3),
        stream("done_marker_only", "truncated", "data: [DONE]\n\n"),
        stream("empty", "truncated", ""),
        stream("in_clear", "malformed", hi + event(THERE), opened=[HI]),
        stream("all_in_clear", "malformed", event(HI) + event(THERE) + event(USAGE)),
        stream("not_json", "malformed", hi + "data: {\n\n", opened=[HI]),
        stream("missing_hash", "malformed", hi + event(no_hash), opened=[HI]),
        stream("missing_signature", "malformed", hi + event(no_signature), opened=[HI]),
        stream("another_answers_chunk", "malformed", hi + foreign, opened=[HI]),
        stream("no_choices", "malformed", hi + no_choices, opened=[HI]),
        stream("no_index", "malformed", hi + no_index, opened=[HI]),
        stream("tampered_tag", "open failure", hi + event(bad_tag), opened=[HI]),
        stream("wrong_hash", "digest mismatch", hi + event(bad_hash), opened=[HI]),
        stream("reflected_request", "reflection", hi + event(reflected), opened=[HI]),
        stream("an_engine_error", "engine error", hi + error, opened=[HI]),
    ]


def chunk_cases(values: list[dict]) -> list[dict]:
    cases = []
    for value in values:
        fields = event_fields(value)
        cases.append(
            {
                "plaintext_utf8": compact(value),
                "response_hash_hex": unb64(fields["response_hash"]).hex(),
                "ciphertext_with_tag_hex": unb64(fields["ciphertext"]).hex(),
                "sse": event(fields),
            }
        )
    return cases


def keystream_reuse(first: dict, second: dict) -> dict:
    """What a relay learns without any key: the XOR of two plaintexts (protocol 7.4)."""
    one, two = (
        unb64(event_fields(value)["ciphertext"])[:-16] for value in (first, second)
    )
    xor = bytes(a ^ b for a, b in zip(one, two, strict=False))
    return {"first": 0, "second": 2, "bytes": len(xor), "xor_hex": xor.hex()}
