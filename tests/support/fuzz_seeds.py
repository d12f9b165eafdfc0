"""What the fuzz targets start from: the wire's vectors, and what tests build anyway."""

import base64
import functools
import json
import zlib

from answered import ANSWER, HI, STOP, THERE, USAGE, WHOLE, choice, chunk, plain
from appraisal import NODE, NONCE, Chain, json_answer
from odd_values import PNG
from pinned import CHANGED, KEY, SEEN
from signing import DIGEST, receipt_of, sign
from silicon import Authority, composite_id, entry, tcb_info
from silicon_nras import Service
from silicon_rim import DRIVER, OTHER, RimAuthority, content, golden
from vector_files import FILES, compressed

from atoma_confidential.attestation import SeenSigner
from atoma_confidential.attestation._pin_json import dump_pins
from atoma_confidential.attestation.pins import NodePins, Pins
from atoma_confidential.attestation.sui import _COMMITMENT, _ROTATION


def _json(value):
    return json.dumps(value, ensure_ascii=False).encode()


def _bodies(file, name):
    return [case[name].encode() for case in FILES[file]["cases"] if name in case]


# --- the wire -----------------------------------------------------------------------

CALL = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "weather", "arguments": '{"city": "Zürich", "days": [1, 2]}'},
}
FRAGMENTS = [
    [{"index": 0, "id": "a", "function": {"name": "weather", "arguments": ""}}],
    [{"index": 0, "function": {"arguments": '{"city": "Zü'}}],
    [{"index": 0, "function": {"arguments": 'rich"}'}}, {"index": 1, "id": "b"}],
    [{"index": 1, "function": {"name": "time", "arguments": {"zone": "CET"}}}],
]
LOGPROBS = {"content": [{"token": "Hi", "logprob": -0.1, "bytes": [72, 105]}]}


def _answer(finish_reason="stop", **message):
    said = {"role": "assistant", "content": None} | message
    choice_ = {"index": 0, "message": said, "finish_reason": finish_reason}
    return _json(ANSWER | {"choices": [choice_ | {"logprobs": LOGPROBS}]})


def answers():
    return [
        _json(ANSWER),
        *_bodies("replies", "plaintext_utf8"),
        _answer("tool_calls", tool_calls=[CALL, CALL | {"id": "call_2"}]),
        _answer("length", content="Wait.", tool_calls=[CALL]),
        _answer(content=[{"type": "text", "text": "Hi"}], reasoning_content="Hm."),
        _answer(refusal="No.", function_call={"name": "f", "arguments": "{}"}),
    ]


def streams():
    lines = [
        WHOLE,
        [HI, chunk(choice(finish_reason="stop"), usage=ANSWER["usage"])],
        [
            *(chunk(choice(tool_calls=fragments)) for fragments in FRAGMENTS),
            chunk(choice(finish_reason="tool_calls")),
            USAGE,
        ],
        [chunk(choice(reasoning_content="Hm.")), HI, STOP, USAGE],
        [HI, THERE],
    ]
    recorded = [case["opened_utf8"] for case in FILES["streams"]["cases"]]
    return [
        *(b"\n".join(map(_json, values)) for values in lines),
        *("\n".join(texts).encode() for texts in recorded if texts),
    ]


def plain_streams():
    return [plain(WHOLE) + b"data: [DONE]\n\n", plain([HI]), b": keep-alive\n\n"]


def sse():
    return [
        *_bodies("streams", "http_body")[:8],
        b"\xef\xbb\xbfdata: a\r\ndata:b\r\r\n\nid: 1\nevent: x\ndata\n\n",
    ]


def embeddings():
    vectors = [
        {"index": 1, "object": "embedding", "embedding": [0.5, 1, -2e3]},
        {"index": 0, "object": "embedding", "embedding": "AACAPwAAAEAAAEBA"},
    ]
    return [_json({"model": "m", "data": vectors, "usage": {"total_tokens": 1}})]


def leases():
    return _bodies("locks", "response_body")


def sealed():
    return _bodies("replies", "http_body")


def models():
    return [
        _json({"data": [{"id": "m", "owned_by": "atoma", "created": 1}, {"id": ""}]})
    ]


def statuses():
    cases = FILES["errors"]["cases"]
    told = [f"{c['status']}\n\n\n{c['body']}".encode() for c in cases]
    date = "Wed, 21 Oct 2026 07:28:00 GMT"
    return [*told, f"429\n7\n{date}\n".encode(), f"503\n{date}\n{date}\n{{".encode()]


# --- evidence -----------------------------------------------------------------------


@functools.cache
def _chip():
    return Authority().chip()


@functools.cache
def rim_authority():
    return RimAuthority()


@functools.cache
def nras_service():
    return Service()


def records():
    return [
        _json({"node_small_id": NODE, "compressed_evidence": [1, 2, 255]}),
        _json({"node_small_id": NODE, "attestation": [0]}),
    ]


def evidence():
    chip = _chip()
    cases = FILES["attestation"]["cases"]
    good = [compressed(case) for case in cases if case["expect"] == "ok"]
    return [
        _json([entry("device", chip.chain, chip.report(NONCE))]),
        *map(zlib.decompress, good),
    ]


def reports():
    return [_chip().report(NONCE), _chip().report(NONCE, opaque={36: b"\1\0"})]


def certificates():
    name = b"\x0c\x1dNVIDIA:GH100:48B02D0000000001"
    return [
        b"\1" + name + composite_id().value,
        b"\0" + name + tcb_info().value,
        b"\0" + name,
    ]


def chains():
    chip = _chip()
    return [chip.chain, chip.leaf.pem, chip.leaf.pem + chip.brom.pem]


def rims():
    return [rim_authority().document(DRIVER, golden(1) | {3: ()})]


def rim_values():
    values = golden(1, 2) | {3: (), 4: (OTHER, bytes(range(48)))}
    return [f"{content(DRIVER, values)}</SoftwareIdentity>".encode()]


def tokens():
    overall, parts = nras_service().answer(NONCE, ["1001"])

    def lines(token):
        head, claims, _ = token.split(".")
        return [_from_base64url(part) for part in (head, claims)]

    both = lines(overall[1]) + lines(parts["GPU-0"])
    return [b"\n".join(both), _json([overall, parts])]


def _from_base64url(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def keys():
    return [_json(nras_service().jwks())]


def contracts():
    chain = Chain()
    chain.commit(b"evidence")
    results = [
        chain.getObject(Chain.database, {}),
        *(
            chain.queryEvents(
                {"MoveEventType": f"{Chain.package}::db::{name}"},
                None,
                8,
                descending=True,
            )
            for name in (_ROTATION, _COMMITMENT)
        ),
    ]
    refused = {"jsonrpc": "2.0", "error": {"code": -32602, "message": "no"}}
    return [
        *(
            json_answer({"jsonrpc": "2.0", "id": 1, "result": result}).body
            for result in results
        ),
        _json(refused),
    ]


# --- receipts, pins -----------------------------------------------------------------


def signatures():
    return [DIGEST + sign(flag) for flag in (0, 1, 2)]


def receipts():
    return [receipt_of(flag).to_json().encode() for flag in (0, 1, 2)]


def pins():
    node = NodePins(NODE).remembering(SEEN, at=1)
    node = node.remembering(SeenSigner("0x" + "ab" * 32), at=2)
    both = Pins({NODE: node.refusing(CHANGED, at=3), 7: NodePins(7)})
    return [_one_line(dump_pins(both)), dump_pins(Pins())]


def _one_line(document):
    return _json(json.loads(document)) + b"\n"


def key_log():
    line = {"at": 1, "node": NODE, "key": KEY}
    return [(_json(line) + b"\n") * 2, b""]


# --- messages -----------------------------------------------------------------------


def tool_calls():
    same = [{"index": 0, **CALL}]
    lists = [FRAGMENTS, [same, same], [[CALL, CALL]], [[{"function": {"name": "f"}}]]]
    return [b"\n".join(map(_json, fragments)) for fragments in lists]


def langchain_messages():
    image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
    v1 = {"type": "image", "base64": PNG, "mime_type": "image/png", "extras": {}}
    audio = {"type": "audio", "base64": PNG, "mime_type": "audio/wav"}
    file = {"type": "file", "base64": PNG, "mime_type": "a/b", "filename": "n"}
    plain_text = {"type": "text-plain", "text": "x", "mime_type": "text/plain"}
    result = {"type": "tool_result", "tool_use_id": "c", "content": [image]}
    use = {"type": "tool_use", "id": "c", "name": "f", "input": {"a": 1}}
    thinking = {"type": "thinking", "thinking": "Hm."}
    call = {"name": "f", "args": {"a": [1]}, "id": "c", "type": "tool_call"}
    broken = {"name": "f", "args": "{", "id": "d", "error": None}
    legacy = {"function_call": {"name": "f", "arguments": "{}"}, "refusal": "No."}
    return [
        _json(
            [{"kind": "human", "content": ["a", image, v1, audio, file, plain_text]}]
        ),
        _json([{"kind": "human", "content": [result], "name": "n"}]),
        _json(
            [{"kind": "ai", "content": [use, thinking, {"type": "text", "text": "a"}]}]
        ),
        _json([{"kind": "ai", "content": "a", "additional_kwargs": legacy}]),
        _json(
            [
                {"kind": "ai", "content": "", "tool_calls": [call]},
                {"kind": "ai", "content": "", "invalid_tool_calls": [broken]},
                {"kind": "tool", "content": "7", "tool_call_id": "c"},
                {"kind": "system", "content": "Be brief."},
                {"kind": "function", "content": "7", "name": "f"},
                {"kind": "chat", "content": "7", "role": "critic"},
            ]
        ),
    ]


def llama_index_messages():
    text = {"block_type": "text", "text": "a"}
    image = {"block_type": "image", "image": PNG, "image_mimetype": "image/png"}
    link = {"block_type": "image", "url": "https://example.com/a.png", "detail": "low"}
    audio = {"block_type": "audio", "audio": PNG, "format": "wav"}
    file = {"block_type": "document", "data": PNG, "document_mimetype": "a/b"}
    citable = {"block_type": "citable", "title": "t", "source": "s", "content": [text]}
    call = {"block_type": "tool_call", "tool_name": "f", "tool_kwargs": {"a": 1}}
    thinking = {"block_type": "thinking", "content": "Hm."}
    legacy = {"tool_calls": [CALL], "name": "n"}
    return [
        _json([{"role": "user", "blocks": [text, image, link, audio, file, citable]}]),
        _json(
            [
                {"role": "assistant", "blocks": [thinking, text, call]},
                {"role": "tool", "blocks": [text], "additional_kwargs": {}},
            ]
        ),
        _json(
            [
                {"role": "assistant", "blocks": [], "additional_kwargs": legacy},
                {"role": "tool", "additional_kwargs": {"tool_call_id": "call_1"}},
            ]
        ),
    ]
