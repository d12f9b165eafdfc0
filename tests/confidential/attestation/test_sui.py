"""Reading the contract over JSON-RPC: about what was asked, and nothing else."""

import json
import pickle

import pytest
from appraisal import KEY, NODE, Chain, json_answer
from hypothesis import given
from hypothesis import strategies as st

from atoma_confidential import SuiContract
from atoma_confidential.attestation.policy import Fetched
from atoma_confidential.attestation.sui import (
    Commitment,
    Rotation,
    read_commitment,
    read_rotation,
)
from atoma_confidential.errors import (
    EvidenceFormatError,
    EvidenceUnavailableError,
    InvalidInputError,
)

CONTRACT = SuiContract(rpc_url=Chain.url, atoma_db=Chain.database)
EVENTS = SuiContract(rpc_url=Chain.url, package="0xA7")


def run(reading, serve):
    try:
        fetch = next(reading)
        while True:
            fetch = reading.send(serve(fetch))
    except StopIteration as stop:
        return stop.value


def rpc(result):
    return lambda _: json_answer({"jsonrpc": "2.0", "id": 1, "result": result})


# --- configuration ------------------------------------------------------------------


def test_ids_are_brought_to_one_form_and_the_url_is_not_shown():
    assert EVENTS.package == Chain.package
    assert SuiContract(rpc_url=Chain.url, package="0x00a7") == EVENTS
    assert hash(EVENTS) == hash(pickle.loads(pickle.dumps(EVENTS)))
    assert "rpc.example" not in repr(EVENTS)


@pytest.mark.parametrize(
    "url",
    [
        "https://fullnode.example",
        "https://fullnode.example:443/v1/key?a=b",
        "http://localhost:9000",
        "http://127.0.0.1:9000/",
        "http://[::1]:9000/rpc",
    ],
)
def test_an_endpoint_is_https_or_on_this_machine(url):
    assert SuiContract(rpc_url=url, package="0x1").rpc_url == url


@pytest.mark.parametrize(
    "arguments",
    [
        {"rpc_url": "http://fullnode.example", "package": "0x1"},
        {"rpc_url": "http://localhost.example", "package": "0x1"},
        {"rpc_url": "http://127.0.0.1@fullnode.example", "package": "0x1"},
        {"rpc_url": "https://user@fullnode.example", "package": "0x1"},
        {"rpc_url": "https://fullnode.example/ x", "package": "0x1"},
        {"rpc_url": "https://fullnode.example\n", "package": "0x1"},
        {"rpc_url": "/v1/rpc", "package": "0x1"},
        {"rpc_url": "", "package": "0x1"},
        {"rpc_url": None, "package": "0x1"},
        {"rpc_url": "https://fullnode.example"},
        {"rpc_url": "https://fullnode.example", "package": "a7"},
        {"rpc_url": "https://fullnode.example", "package": "0x"},
        {"rpc_url": "https://fullnode.example", "package": "0x" + "1" * 65},
        {"rpc_url": "https://fullnode.example", "atoma_db": "0xg"},
        {"rpc_url": "https://fullnode.example", "atoma_db": 7},
    ],
)
def test_a_contract_that_could_not_be_read_is_refused(arguments):
    with pytest.raises(InvalidInputError):
        SuiContract(**arguments)


# --- the nonce ----------------------------------------------------------------------


def test_the_nonce_is_read_from_the_database():
    chain = Chain(nonce=2**64 - 1, counter=9)
    assert run(read_rotation(CONTRACT), chain) == Rotation(9, 2**64 - 1)
    (fetch,) = chain.asked
    assert fetch.url == Chain.url
    assert json.loads(fetch.body) == {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "sui_getObject",
        "params": [Chain.database, {"showContent": True}],
    }


def test_or_from_the_latest_event():
    chain = Chain(nonce=5, counter=2)
    assert run(read_rotation(EVENTS), chain) == Rotation(2, 5)
    (fetch,) = chain.asked
    assert json.loads(fetch.body)["params"] == [
        {"MoveEventType": f"{Chain.package}::db::NewKeyRotationEvent"},
        None,
        1,
        True,
    ]


def test_a_contract_that_never_rotated_has_announced_no_nonce():
    none = rpc({"data": [], "hasNextPage": False, "nextCursor": None})
    with pytest.raises(EvidenceUnavailableError, match="announced"):
        run(read_rotation(EVENTS), none)


def database(**changes):
    fields = {"nonce": "7", "key_rotation_counter": "3"} | changes.pop("fields", {})
    content = {
        "dataType": "moveObject",
        "type": f"{Chain.package}::db::AtomaDb",
        "fields": fields,
    }
    data = {"objectId": Chain.database, "content": content | changes.pop("content", {})}
    return {"data": data | changes}


def test_an_id_may_come_back_without_its_leading_zeros():
    contract = SuiContract(rpc_url=Chain.url, atoma_db="0x00ab")
    answer = rpc(database(objectId="0xAB"))
    assert run(read_rotation(contract), answer) == Rotation(3, 7)


@pytest.mark.parametrize(
    ("result", "error"),
    [
        ({"error": {"code": "notExists"}}, EvidenceUnavailableError),
        ({}, EvidenceFormatError),
        ({"data": None}, EvidenceFormatError),
        (database(objectId="0x1"), EvidenceFormatError),
        (database(objectId="nothing"), EvidenceFormatError),
        (database(content={"type": "0xa7::db::Other"}), EvidenceFormatError),
        (database(content={"dataType": "package"}), EvidenceFormatError),
        (database(content={"fields": []}), EvidenceFormatError),
        (database(fields={"nonce": 7}), EvidenceFormatError),
        (database(fields={"nonce": "-7"}), EvidenceFormatError),
        (database(fields={"nonce": "07"}), EvidenceFormatError),
        (database(fields={"nonce": "\u0667"}), EvidenceFormatError),
        (database(fields={"nonce": str(2**64)}), EvidenceFormatError),
        (database(fields={"nonce": "9" * 30}), EvidenceFormatError),
        (database(fields={"nonce": None}), EvidenceFormatError),
        (database(fields={"key_rotation_counter": ""}), EvidenceFormatError),
    ],
)
def test_another_object_or_another_form_of_it_is_refused(result, error):
    with pytest.raises(error):
        run(read_rotation(CONTRACT), rpc(result))


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Fetched(429, b"slow down"), EvidenceUnavailableError),
        (Fetched(200, b"<html>"), EvidenceFormatError),
        (Fetched(200, b" " * ((1 << 20) + 1)), EvidenceFormatError),
        (
            json_answer({"jsonrpc": "2.0", "id": 1, "error": {"code": -32602}}),
            EvidenceUnavailableError,
        ),
        (json_answer({"jsonrpc": "2.0", "id": 1, "error": {}}), EvidenceFormatError),
        (
            json_answer({"jsonrpc": "2.0", "id": 2, "result": database()}),
            EvidenceFormatError,
        ),
        (json_answer({"id": 1, "result": database()}), EvidenceFormatError),
        (
            json_answer(
                {"jsonrpc": "2.0", "id": 1, "result": database(), "error": None}
            ),
            EvidenceFormatError,
        ),
        (json_answer({"jsonrpc": "2.0", "id": 1, "result": []}), EvidenceFormatError),
    ],
)
def test_an_answer_off_json_rpc_is_refused(answer, error):
    with pytest.raises(error):
        run(read_rotation(CONTRACT), lambda _: answer)


# --- commitments --------------------------------------------------------------------


def test_the_latest_commitment_of_the_node_counts():
    chain = Chain()
    chain.commit(b"old")
    chain.commit(b"new", counter=4)
    chain.commit(b"another's", node=NODE + 1)
    assert run(read_commitment(EVENTS, NODE), chain) == Commitment(4, KEY, b"new")


def test_it_is_looked_for_page_by_page():
    chain = Chain()
    chain.commit(b"mine")
    for node in range(20):
        chain.commit(b"another's", node=100 + node)
    assert run(read_commitment(EVENTS, NODE), chain).evidence == b"mine"
    cursors = [json.loads(fetch.body)["params"][1] for fetch in chain.asked]
    assert cursors == [None, 8, 16]


def test_a_node_without_commitment_has_no_evidence():
    chain = Chain()
    chain.commit(b"another's", node=1)
    with pytest.raises(EvidenceUnavailableError, match="lately"):
        run(read_commitment(EVENTS, NODE), chain)
    assert len(chain.asked) == 1


def test_the_search_ends():
    asked = []

    def endless(fetch):
        asked.append(fetch)
        kind = f"{Chain.package}::db::NodePublicKeyCommittmentEvent"
        event = {"type": kind, "parsedJson": {"node_id": {"inner": "1"}}}
        page = {"data": [event], "nextCursor": {"eventSeq": "0"}, "hasNextPage": True}
        return rpc(page)(fetch)

    with pytest.raises(EvidenceUnavailableError, match="lately"):
        run(read_commitment(EVENTS, NODE), endless)
    assert len(asked) == 32


def page(*events, **changes):
    return {"data": list(events), "hasNextPage": False} | changes


def commitment(kind=None, **changes):
    chain = Chain()
    chain.commit(b"evidence", **changes)
    kind = kind or f"{Chain.package}::db::NodePublicKeyCommittmentEvent"
    return {"type": kind, "parsedJson": chain.events[0]}


@pytest.mark.parametrize(
    ("result", "error"),
    [
        (page(commitment(), hasNextPage=None), EvidenceFormatError),
        (page(*[commitment(node=1)] * 9), EvidenceFormatError),
        (
            page(commitment("0xb::db::NodePublicKeyCommittmentEvent")),
            EvidenceFormatError,
        ),
        (page(commitment("0xa7::db::NewKeyRotationEvent")), EvidenceFormatError),
        (page({"type": commitment()["type"]}), EvidenceFormatError),
        (page(None), EvidenceFormatError),
        (page(commitment(node_id=None)), EvidenceFormatError),
        (page(commitment(node_id={"inner": 42})), EvidenceFormatError),
        (page(commitment(new_public_key="AAA=")), EvidenceFormatError),
        (page(commitment(evidence_bytes=[-1])), EvidenceFormatError),
        (page(commitment(key_rotation_counter=3)), EvidenceFormatError),
        (page(commitment(device_type=0)), EvidenceUnavailableError),
    ],
)
def test_other_events_or_another_form_of_them_are_refused(result, error):
    with pytest.raises(error):
        run(read_commitment(EVENTS, NODE), rpc(result))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["data", "type", "parsedJson", "hasNextPage", "fields"])
            | st.text(max_size=3),
            inner,
            max_size=4,
        )
    ),
    max_leaves=10,
)


@pytest.mark.parametrize("contract", [CONTRACT, EVENTS])
@given(result=JSON)
def test_any_result_is_refused_by_our_errors(contract, result):
    with pytest.raises((EvidenceFormatError, EvidenceUnavailableError)):
        run(read_rotation(contract), rpc(result))
    with pytest.raises((EvidenceFormatError, EvidenceUnavailableError)):
        run(read_commitment(EVENTS, NODE), rpc(result))


@pytest.mark.parametrize("contract", [CONTRACT, EVENTS])
def test_every_proper_prefix_of_an_answer_is_refused(contract):
    whole = Chain()(next(read_rotation(contract))).body
    for length in range(len(whole)):
        with pytest.raises(EvidenceFormatError):
            run(
                read_rotation(contract),
                lambda _, cut=whole[:length]: Fetched(200, cut),
            )
