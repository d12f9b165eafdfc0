"""Policies that fetch, and the nodes' signatures, as a model's fields."""

import asyncio
import pickle

import pytest
from records import RecordedKey
from shells import record_requests

from atoma_confidential import TrustPolicy
from atoma_local import Node
from langchain_atoma import errors


def test_a_policy_fetches_for_chat_and_embeddings(
    recorded_atoma, make_chat, make_embeddings, canary
):
    atoma = recorded_atoma
    fields = {"trust": RecordedKey(), "attestation_url": atoma.base_url}
    message = make_chat(atoma, **fields).invoke(canary)
    verdict = message.response_metadata["atoma"]
    assert (verdict["policy"], verdict["assurance"]) == (
        "recorded_key",
        "gpu_witnessed",
    )
    assert (
        verdict["not_proven"] == "confidential machine, software, placement, operator"
    )
    embeddings = make_embeddings(atoma, **fields)
    asyncio.run(embeddings.aembed_query(canary))
    assert embeddings.last_verdict.policy == "recorded_key"
    assert len(record_requests(atoma)) == 2
    assert not any("authorization" in seen.headers for seen in record_requests(atoma))


def test_a_place_for_records_from_the_environment(
    recorded_atoma, make_chat, canary, monkeypatch
):
    monkeypatch.setenv("ATOMA_ATTESTATION_URL", recorded_atoma.base_url)
    model = make_chat(recorded_atoma, trust=RecordedKey())
    assert model.invoke(canary).text


@pytest.mark.parametrize(
    ("mode", "whole", "streamed"),
    [
        ("off", "skipped", "skipped"),
        ("whole", "unpinned", "skipped"),
        ("all", "unpinned", "unpinned"),
    ],
)
def test_signatures_are_checked_where_it_is_said(
    atoma, make_chat, canary, mode, whole, streamed
):
    model = make_chat(atoma, signatures=mode)
    assert model.invoke(canary).response_metadata["atoma"]["signature"] == whole
    *_, last = [c for c in model.stream(canary) if "atoma" in c.response_metadata]
    assert last.response_metadata["atoma"]["stream"] == "live"
    assert last.response_metadata["atoma"]["signature"] == streamed
    assert pickle.loads(pickle.dumps(model)).signatures == mode


def test_a_wrong_signature_is_no_answer(make_atoma, make_chat, make_embeddings, canary):
    atoma = make_atoma()
    atoma.faults.always("signature-wrong")
    with pytest.raises(errors.ReceiptError):
        make_chat(atoma).invoke(canary)
    with pytest.raises(errors.ReceiptError):
        make_embeddings(atoma).embed_query(canary)
    assert make_chat(atoma, signatures="off").invoke(canary).text


def test_a_policy_that_knows_signers_needs_no_setting_beside_it(
    atoma, make_chat, make_embeddings, canary
):
    trust = TrustPolicy.signed_by({3: Node(5).address})
    model = make_chat(atoma, trust=trust, stream_mode="live")
    with pytest.raises(errors.PinMismatchError):
        list(model.stream(canary))
    with pytest.raises(errors.PinMismatchError):
        make_embeddings(atoma, trust=trust).embed_query(canary)
    for signatures in ("whole", "off"):
        with pytest.raises(errors.InvalidInputError, match="signed_by"):
            make_chat(atoma, trust=trust, signatures=signatures)


def test_a_mode_that_does_not_exist_is_refused(atoma, make_chat):
    with pytest.raises(errors.InvalidInputError, match="signatures"):
        make_chat(atoma, signatures="some")
