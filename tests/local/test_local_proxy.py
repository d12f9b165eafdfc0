"""The proxy over real HTTP: who is let in, with what, and how it says no."""

import base64
import json

import pytest

from atoma_local import BuiltInBackend, LocalAtoma

MODEL = "meta-llama/Llama-3.3-70B-Instruct"


@pytest.fixture(autouse=True)
def _sealed(no_plaintext):
    no_plaintext("heliotrope meadow")


def compact(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def chat(text="What grows in the heliotrope meadow?", **parameters):
    messages = [{"role": "user", "content": text}]
    return {"model": MODEL, "messages": messages, **parameters}


def error(reply):
    return reply.status_code, reply.json()["error"]["code"]


def test_says_what_it_serves(wire):
    listing = wire.http.get("/v1/models").json()

    assert listing["object"] == "list"
    facts = {"object": "model", "created": 1686935002, "owned_by": "atoma"}
    assert {"id": MODEL, **facts} in listing["data"]
    assert wire.http.get("/health").json() == {"message": "ok"}
    assert (
        next(task["model_name"] for task, _ in wire.http.get("/tasks").json()) == MODEL
    )


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/v1/nodes/models", 404), ("GET", "/v1/nodes/lock", 405)],
)
def test_unknown_routes_are_empty(wire, method, path, status):
    reply = wire.http.request(method, path)
    assert (reply.status_code, reply.content) == (status, b"")


@pytest.mark.parametrize(
    "header", [None, "Bearer nobody", "bearer {key}", "Bearer  {key}", "{key}"]
)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/models"),
        ("POST", "/v1/nodes/lock"),
        ("POST", "/v1/confidential/chat/completions"),
        ("POST", "/v1/chat/completions"),
    ],
)
def test_asks_for_the_exact_token(wire, header, method, path):
    headers = {"Content-Type": "application/json", "Authorization": ""}
    if header is not None:
        headers["Authorization"] = header.format(key=wire.atoma.api_key)
    body = None if method == "GET" else b'{"model":"x"}'

    reply = wire.http.request(method, path, headers=headers, content=body)

    assert error(reply) == (401, "AUTH_ERROR")


def test_accepts_the_shared_token(wire):
    reply = wire.http.get("/v1/models", headers={"Authorization": "Bearer atoma-local"})
    assert reply.status_code == 200


def test_the_key_can_be_chosen(make_atoma, connect):
    atoma = make_atoma(api_key="mine", tokens=())
    assert connect(atoma).http.get("/v1/models").status_code == 200

    atoma.api_key = "another"

    assert error(
        connect(make_atoma(tokens=())).http.get(
            "/v1/models", headers={"Authorization": "Bearer mine"}
        )
    ) == (401, "AUTH_ERROR")
    assert connect(atoma).http.get("/v1/models").status_code == 200


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b"{}", "text/plain", 415),
        (b"[]", "application/json", 422),
        (b"{}", "application/json", 422),
        (b'{"model":3}', "application/json", 422),
        (b'{"model":"m","max_num_tokens":"8"}', "application/json", 422),
        (b'{"model":"m","max_num_tokens":-1}', "application/json", 422),
        (b'{"model":"m","timeout":1.5}', "application/json", 422),
        (b'{"model":"' + b"m" * 2**21 + b'"}', "application/json", 413),
    ],
)
def test_a_lock_is_extracted_before_the_token_is_looked_at(wire, content, kind, status):
    reply = wire.http.post(
        "/v1/nodes/lock",
        content=content,
        headers={"Content-Type": kind, "Authorization": "Bearer nobody"},
    )
    assert reply.status_code == status
    assert reply.headers["content-type"].startswith("text/plain")


def test_a_lock_has_the_nodes_key(wire):
    lock = wire.lock()

    assert lock["node_small_id"] == 3
    assert lock["stack_entry_digest"] is None
    assert base64.b64decode(lock["public_key"]) == wire.atoma.node_public_key


def test_nobody_serves_an_unknown_model(make_atoma, connect):
    wire = connect(make_atoma(backend=BuiltInBackend(models=["only-this"])))

    reply = wire.http.post("/v1/nodes/lock", json={"model": "Only-This"})

    assert error(reply) == (503, "SERVICE_UNAVAILABLE")
    assert wire.lock("only-this")


def test_a_sealed_question_is_opened_and_answered(wire):
    body = chat("The heliotrope meadow is blue. Which colour has the meadow?")

    answer = wire.answer(body)

    assert wire.atoma.opened == [("/v1/confidential/chat/completions", body)]
    assert "blue" in answer["choices"][0]["message"]["content"]
    [lock, sent] = wire.atoma.exchanges
    assert (lock.path, sent.method) == ("/v1/nodes/lock", "POST")
    assert json.loads(sent.body)["model_name"] == MODEL


def test_a_reply_has_upstreams_fields_in_order(wire):
    sealed, reply = wire.ask(chat())

    assert list(reply.json()) == [
        "nonce", "ciphertext", "response_hash", "signature", "usage",
    ]  # fmt: skip
    assert reply.json()["usage"] == sealed.open(reply.json())["usage"]


def test_a_lock_serves_one_request(wire):
    sealed, reply = wire.ask(chat())
    assert reply.status_code == 200

    assert error(wire.send(sealed)) == (425, "UNAVAILABLE_STACK")


def test_a_lock_may_expire(make_atoma, connect):
    now = [1000.0]
    wire = connect(make_atoma(clock=lambda: now[0]))
    sealed = wire.seal(chat())  # locked for the default five seconds
    now[0] += 5

    assert error(wire.send(sealed)) == (425, "UNAVAILABLE_STACK")


def test_an_unknown_stack_is_an_internal_error(wire):
    sealed = wire.ask(chat())[0]
    sealed.envelope["stack_small_id"] = 1

    assert error(wire.send(sealed)) == (500, "INTERNAL_ERROR")


@pytest.mark.parametrize(
    "changes",
    [
        {"ciphertext": 1},
        {"salt": None},
        {"stack_small_id": "4711"},
        {"stack_small_id": -1},
        {"stream": "yes"},
        {"num_compute_units": "8192"},
    ],
)
def test_an_envelope_of_another_shape_is_refused(wire, changes):
    sealed = wire.ask(chat())[0]
    sealed.envelope |= changes

    status, code = error(wire.send(sealed))
    assert (status, code) == (400, "REQUEST_ERROR")


@pytest.mark.parametrize(
    ("endpoint", "status"), [("chat/completions", 429), ("embeddings", 500)]
)
def test_strict_mode_refuses_what_upstream_would_break(wire, endpoint, status):
    sealed = wire.ask(chat())[0]
    wire.lock()
    pretty = json.dumps(sealed.envelope, indent=1).encode()

    assert error(wire.send(sealed, endpoint, content=pretty))[0] == status
    assert wire.atoma.violations


def test_a_lenient_local_atoma_takes_any_json(make_atoma, connect):
    wire = connect(make_atoma(strict=False))
    sealed, _reply = wire.ask(chat())
    wire.lock()
    pretty = json.dumps(sealed.envelope, indent=1).encode()

    assert wire.send(sealed, content=pretty).status_code == 200


def test_a_large_body_costs_its_lock(wire):
    sealed = wire.ask(chat())[0]
    wire.lock()
    sealed.envelope["ciphertext"] = "A" * 2**21

    reply = wire.send(sealed)

    assert reply.status_code == 413
    assert reply.headers["content-type"].startswith("text/plain")
    assert error(wire.send(sealed)) == (425, "UNAVAILABLE_STACK")


@pytest.mark.parametrize(
    ("body", "plaintext", "message"),
    [
        (chat(), b"not JSON", "Bad Request"),
        (chat(), b'{"model":3}', "Bad Request"),
        (chat(), b"[]", "Bad Request"),
        (chat(invented=True), None, "Inference service returned status code error 500"),
    ],
)
def test_the_node_says_little_about_a_body_it_refuses(wire, body, plaintext, message):
    reply = wire.ask(body, plaintext=plaintext)[1]

    assert error(reply) == (500, "INTERNAL_ERROR")
    assert reply.json()["error"]["message"].startswith(message)


def test_embeddings_keep_the_engines_status(wire):
    body = {"model": MODEL, "input": ["heliotrope meadow"], "invented": 1}
    reply = wire.ask(body, "embeddings")[1]
    assert reply.json()["error"]["message"] == "Bad Request"


def test_a_changed_body_is_found_by_its_hash(wire):
    sealed = wire.ask(chat())[0]
    wire.lock()
    sealed.envelope["plaintext_body_hash"] = sealed.envelope["node_dh_public_key"]

    assert wire.send(sealed).json()["error"]["message"] == "Bad Request"


def test_the_nodes_key_may_change(wire):
    sealed = wire.ask(chat())[0]
    wire.lock()
    wire.atoma.rotate_key()

    reply = wire.send(sealed)

    assert "status code error 500" in reply.json()["error"]["message"]
    assert wire.answer(chat())["object"] == "chat.completion"


@pytest.mark.parametrize(
    ("envelope", "plaintext"), [(False, True), (True, True), (True, False)]
)
def test_who_decides_about_streaming(wire, envelope, plaintext):
    sealed, reply = wire.ask(chat(stream=plaintext), stream=envelope)

    if not envelope:  # the node demands a header the proxy did not add
        assert error(reply) == (500, "INTERNAL_ERROR")
        return
    events = [line for line in reply.text.splitlines() if line.startswith("data:")]
    first = json.loads(events[0].removeprefix("data:"))
    kind = "chat.completion.chunk" if plaintext else "chat.completion"
    assert sealed.open(first)["object"] == kind
    assert (len(events) > 1) == plaintext


def test_completions_work_and_their_streams_are_empty(wire):
    body = {"model": MODEL, "prompt": "heliotrope meadow"}

    answer = wire.answer(body, "completions")
    _, reply = wire.ask(body | {"stream": True}, "completions", stream=True)

    assert answer["object"] == "text_completion"
    assert answer["choices"][0]["text"]
    assert reply.text.replace(": keep-alive\n\n", "") == ""


def test_accounting_is_upstreams(wire):
    answer = wire.answer(chat())
    [stack] = wire.atoma.stacks
    assert (stack.reserved, stack.used) == (0, answer["usage"]["total_tokens"])

    wire.answer({"model": MODEL, "input": ["heliotrope meadow"]}, "embeddings")
    assert stack.reserved == 8192  # an embeddings request gives nothing back


def test_a_locked_stack_is_named_only_with_the_header(wire):
    wire.atoma.faults.always("post-423")
    sealed = wire.ask(chat())[0]
    [stack] = wire.atoma.stacks
    assert stack.shut

    stack.shut = False
    wire.lock()
    bare = wire.http.post(
        "/v1/confidential/chat/completions",
        content=compact(sealed.envelope),
        headers={"Content-Type": "application/json"},
    )
    assert error(bare) == (500, "INTERNAL_ERROR")
    assert not stack.shut


def test_the_attestation_record(make_atoma, connect):
    assert (
        connect(make_atoma()).http.get("/v1/get_node_attestation/3").status_code == 404
    )

    record = connect(make_atoma(evidence=b"\x78\x9c")).http.get(
        "/v1/get_node_attestation/3"
    )
    assert record.json() == {"node_small_id": 3, "compressed_evidence": [0x78, 0x9C]}


def test_the_attestation_record_may_change(make_atoma, connect):
    atoma = make_atoma(evidence=b"\x78\x9c")
    wire = connect(atoma)
    atoma.evidence = b"\x78"
    record = wire.http.get("/v1/get_node_attestation/3")
    assert bytes(record.json()["compressed_evidence"]) == atoma.evidence == b"\x78"
    assert wire.http.get("/v1/get_node_attestation/4").content == b""
    atoma.evidence = None
    assert wire.http.get("/v1/get_node_attestation/3").status_code == 404


def test_has_no_address_before_it_is_entered():
    atoma = LocalAtoma()
    with pytest.raises(RuntimeError):
        _ = atoma.base_url
    with pytest.raises(RuntimeError):
        _ = atoma.tap
