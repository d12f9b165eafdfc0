"""Whole answers: three good ones, and each way to be none."""

import json

from node_half import (
    E5,
    LLAMA,
    b64,
    blake2b,
    compact,
    flipped,
    run,
    sealed,
    sign,
    unb64,
)
from request_cases import CHAT, EMBEDDINGS, IMAGES


def reply(name, exchange, nonce, value) -> dict:
    plaintext = compact(value)
    fields = sealed(exchange, nonce, plaintext)
    if "usage" in value:
        fields["usage"] = value["usage"]
    return {
        "name": name,
        "expect": "ok",
        "request": exchange.case["name"],
        "node_nonce_hex": nonce.hex(),
        "plaintext_utf8": plaintext,
        "response_hash_hex": unb64(fields["response_hash"]).hex(),
        "signature_hex": unb64(fields["signature"]).hex(),
        "ciphertext_with_tag_hex": unb64(fields["ciphertext"]).hex(),
        "http_body": compact(fields),
    }


ANSWER = {
    "id": "chatcmpl-0f1e2d3c4b5a69788796a5b4c3d2e1f0",
    "object": "chat.completion",
    "created": 1755000000,
    "model": LLAMA,
    "choices": [
        {
            "index": 0,
            "message": {
                "role": "assistant",
                "content": "Hello! How can I help you today? 👋",
                "tool_calls": [],
            },
            "logprobs": None,
            "finish_reason": "stop",
            "stop_reason": None,
        }
    ],
    "usage": {
        "prompt_tokens": 14,
        "total_tokens": 23,
        "completion_tokens": 9,
        "prompt_tokens_details": None,
    },
}
VECTORS = {
    "object": "list",
    "data": [
        {
            "object": "embedding",
            "index": 0,
            "embedding": [0.0023064255, -0.009327292, 0.015797347],
        }
    ],
    "model": E5,
    "usage": {"prompt_tokens": 12, "total_tokens": 12},
}
PICTURE = {"created": 1755000002, "data": [{"b64_json": "iVBORw0KGgo="}]}
ENGINE_ERROR = {
    "error": {"message": "the engine's own words", "type": "BadRequestError"}
}
ANSWER_NONCE = run(0xB0, 12)


def replies() -> list[dict]:
    chat = reply("chat", CHAT, ANSWER_NONCE, ANSWER)
    good = json.loads(chat["http_body"])
    own = json.loads(CHAT.case["http_body"])
    reflected = {name: own[name] for name in ("nonce", "ciphertext")}
    reflected["response_hash"] = own["plaintext_body_hash"]
    bodies = {
        ("tampered_tag", "open failure"): good
        | {"ciphertext": flipped(good["ciphertext"], -1)},
        ("tampered_ciphertext", "open failure"): good
        | {"ciphertext": flipped(good["ciphertext"], 0)},
        ("another_nonce", "open failure"): good | {"nonce": b64(run(0xB1, 12))},
        ("another_requests_reply", "open failure"): sealed(
            EMBEDDINGS, ANSWER_NONCE, compact(ANSWER)
        ),
        ("tag_only", "open failure"): good | {"ciphertext": b64(bytes(16))},
        ("wrong_response_hash", "digest mismatch"): good
        | {"response_hash": b64(blake2b(b"something else"))},
        # As captured: it lacks the signature that every node sends.
        ("reflected_request", "malformed"): reflected,
        ("reflected_request_signed", "reflection"): reflected
        | {"signature": b64(sign(unb64(reflected["response_hash"])))},
        ("own_nonce", "reflection"): sealed(CHAT, CHAT.nonce, compact(ANSWER)),
        ("in_clear", "malformed"): ANSWER,
        ("an_error_in_clear", "malformed"): ENGINE_ERROR,
        ("a_list", "malformed"): [good],
        ("an_engine_error", "engine error"): sealed(
            CHAT, ANSWER_NONCE, compact(ENGINE_ERROR)
        ),
        ("another_endpoints_answer", "malformed"): sealed(
            CHAT, ANSWER_NONCE, compact(VECTORS)
        ),
        ("no_choices", "malformed"): sealed(
            CHAT, ANSWER_NONCE, compact(ANSWER | {"choices": []})
        ),
        ("sealed_text", "malformed"): sealed(CHAT, ANSWER_NONCE, "no JSON"),
        ("sealed_list", "malformed"): sealed(CHAT, ANSWER_NONCE, "[]"),
        ("sealed_invalid_utf8", "malformed"): sealed(CHAT, ANSWER_NONCE, b'{"\xff":0}'),
        ("sealed_nothing", "malformed"): sealed(CHAT, ANSWER_NONCE, ""),
    }
    for member in ("nonce", "ciphertext", "response_hash", "signature"):
        rest = {name: value for name, value in good.items() if name != member}
        bodies[f"missing_{member}", "malformed"] = rest
        bodies[f"null_{member}", "malformed"] = good | {member: None}
        data = unb64(good[member])
        for what, text in {
            "empty": "",
            "unpadded": b64(data + bytes(-len(data) % 3 + 1)).rstrip("="),
            "broken_in_two": good[member][:4] + "\n" + good[member][4:],
            "urlsafe": "-_" + good[member][2:],
            "overpadded": good[member] + "====",
        }.items():
            bodies[f"{what}_{member}", "malformed"] = good | {member: text}
    for member in ("nonce", "response_hash"):
        data = unb64(good[member])
        bodies[f"short_{member}", "malformed"] = good | {member: b64(data[:-1])}
        bodies[f"long_{member}", "malformed"] = good | {member: b64(data + b"\0")}
    signature = unb64(good["signature"])
    bodies["short_signature", "malformed"] = good | {"signature": b64(signature[:-1])}
    bodies["long_signature", "malformed"] = good | {"signature": b64(signature + b"xx")}
    bodies["long_nonce_of_a_block", "malformed"] = good | {"nonce": b64(bytes(16))}
    bodies["short_ciphertext", "malformed"] = good | {"ciphertext": b64(bytes(15))}
    # 32 bytes leave two unused bits in the last group; here one of them is set.
    spare = good["response_hash"][:-2] + chr(ord(good["response_hash"][-2]) + 1) + "="
    bodies["non_canonical_base64", "malformed"] = good | {"response_hash": spare}
    texts = {
        "not_json": "upstream connect error",
        "empty_body": "",
        "cut_short": chat["http_body"][:-1],
        "two_answers": chat["http_body"] * 2,
        "nan": chat["http_body"].replace('"prompt_tokens":14', '"prompt_tokens":NaN'),
    }
    return [
        chat,
        reply("embeddings", EMBEDDINGS, run(0x80, 12), VECTORS),
        reply("images", IMAGES, run(0x50, 12), PICTURE),
        *(
            {"name": name, "expect": expect, "request": "chat"}
            | {"http_body": compact(body)}
            for (name, expect), body in bodies.items()
        ),
        *(
            {"name": name, "expect": "malformed", "request": "chat", "http_body": text}
            for name, text in texts.items()
        ),
    ]
