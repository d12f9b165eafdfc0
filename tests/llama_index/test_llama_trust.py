"""Policies that fetch, and the nodes' signatures, as a model's fields."""

import pickle
import threading

import pytest
from llama_index.core.llms import ChatMessage
from records import RecordedKey
from shells import record_requests

from atoma_confidential import TrustPolicy
from atoma_local import Node
from llama_index_atoma import AtomaChatModel, AtomaEmbeddings, errors

CHAT = "meta-llama/Llama-3.3-70B-Instruct"
EMBEDDINGS = "intfloat/multilingual-e5-large-instruct"


def chat_model(atoma, **fields):
    known = {"api_key": atoma.api_key, "base_url": atoma.base_url}
    return AtomaChatModel(model=CHAT, **known, **fields)


def embeddings_of(atoma, **fields):
    known = {"api_key": atoma.api_key, "base_url": atoma.base_url}
    return AtomaEmbeddings(model_name=EMBEDDINGS, **known, **fields)


def test_a_policy_fetches_for_chat_and_embeddings(recorded_atoma, canary):
    atoma = recorded_atoma
    fields = {"trust": RecordedKey(), "attestation_url": atoma.base_url}
    asked = [ChatMessage(role="user", content=canary)]
    response = chat_model(atoma, **fields).chat(asked)
    verdict = response.additional_kwargs["atoma"]
    assert (verdict["policy"], verdict["assurance"]) == (
        "recorded_key",
        "gpu_witnessed",
    )
    assert (
        verdict["not_proven"] == "confidential machine, software, placement, operator"
    )
    embeddings = embeddings_of(atoma, **fields)
    embeddings.get_text_embedding(canary)
    assert embeddings.last_verdict.policy == "recorded_key"
    assert len(record_requests(atoma)) == 2
    assert not any("authorization" in seen.headers for seen in record_requests(atoma))


@pytest.mark.parametrize(
    ("mode", "whole", "streamed"),
    [
        ("off", "skipped", "skipped"),
        ("whole", "unpinned", "skipped"),
        ("all", "unpinned", "unpinned"),
    ],
)
def test_signatures_are_checked_where_it_is_said(
    atoma, canary, monkeypatch, mode, whole, streamed
):
    monkeypatch.setenv("ATOMA_API_KEY", atoma.api_key)
    model = chat_model(atoma, signatures=mode)
    asked = [ChatMessage(role="user", content=canary)]
    assert model.chat(asked).additional_kwargs["atoma"]["signature"] == whole
    *_, last = model.stream_chat(asked)
    assert last.additional_kwargs["atoma"]["stream"] == "live"
    assert last.additional_kwargs["atoma"]["signature"] == streamed
    assert pickle.loads(pickle.dumps(model)).signatures == mode
    assert type(model).from_dict(model.to_dict()).signatures == mode


def test_a_wrong_signature_is_no_answer(make_atoma, canary):
    atoma = make_atoma()
    atoma.faults.always("signature-wrong")
    asked = [ChatMessage(role="user", content=canary)]
    with pytest.raises(errors.ReceiptError):
        chat_model(atoma).chat(asked)
    with pytest.raises(errors.ReceiptError):
        embeddings_of(atoma).get_text_embedding(canary)
    assert chat_model(atoma, signatures="off").chat(asked).message.content


def test_a_policy_that_knows_signers_needs_no_setting_beside_it(atoma, canary):
    trust = TrustPolicy.signed_by({3: Node(5).address})
    model = chat_model(atoma, trust=trust, stream_mode="live")
    with pytest.raises(errors.PinMismatchError):
        list(model.stream_chat([ChatMessage(role="user", content=canary)]))
    with pytest.raises(errors.PinMismatchError):
        embeddings_of(atoma, trust=trust).get_text_embedding(canary)
    for signatures in ("whole", "off"):
        with pytest.raises(errors.InvalidInputError, match="signed_by"):
            chat_model(atoma, trust=trust, signatures=signatures)


def test_a_mode_that_does_not_exist_is_refused(atoma):
    with pytest.raises(errors.InvalidInputError, match="signatures"):
        chat_model(atoma, signatures="some")


class Unpicklable(TrustPolicy):
    name = identity = "unpicklable"

    def __init__(self):
        self.lock = threading.Lock()

    def appraise(self, candidate, *, now):
        return TrustPolicy.proxy_asserted().appraise(candidate, now=now)


@pytest.mark.parametrize("kind", [AtomaChatModel, AtomaEmbeddings])
def test_a_model_whose_policy_cannot_be_pickled_is_not_pickled(kind):
    """Core would leave the policy out, and any key would do for what is loaded."""
    model = kind(model="m", api_key="k", trust=Unpicklable())
    with pytest.raises(
        errors.InvalidInputError, match="trust policy cannot be pickled"
    ):
        pickle.dumps(model)
