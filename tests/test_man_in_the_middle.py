"""A proxy that substitutes the node's key: it reads all, or is sent nothing to read."""

import asyncio
import json
from dataclasses import replace
from functools import partial

import pytest
from llama_index.core.llms import ChatMessage
from middleman import Middleman
from records import RecordedKey
from silicon import Authority, pack

import langchain_atoma
import llama_index_atoma
from atoma_confidential import TrustPolicy
from atoma_confidential.attestation.evidence import report_nonce
from atoma_confidential.errors import AttestationError, Exposure

CHAT = "meta-llama/Llama-3.3-70B-Instruct"
EMBEDDINGS = "intfloat/multilingual-e5-large-instruct"
ASKED = "Where is canary-heliotrope-5f1d9c buried?"


def settings(proxy, trust):
    return {
        "api_key": proxy.api_key,
        "base_url": proxy.base_url,
        # Whoever controls the proxy may well control the records.
        "attestation_url": proxy.base_url,
        "trust": trust,
    }


def langchain_chat(proxy, trust):
    model = langchain_atoma.AtomaChatModel(model=CHAT, **settings(proxy, trust))
    return model.invoke(ASKED).response_metadata["atoma"]


def langchain_stream(proxy, trust, stream_mode="buffered"):
    model = langchain_atoma.AtomaChatModel(
        model=CHAT, stream_mode=stream_mode, **settings(proxy, trust)
    )
    chunks = list(model.stream(ASKED))
    return next(filter(None, (c.response_metadata.get("atoma") for c in chunks)))


def langchain_embeddings(proxy, trust):
    model = langchain_atoma.AtomaEmbeddings(model=EMBEDDINGS, **settings(proxy, trust))
    asyncio.run(model.aembed_documents([ASKED]))
    return model.last_verdict.as_dict()


def llama_index_chat(proxy, trust):
    model = llama_index_atoma.AtomaChatModel(model=CHAT, **settings(proxy, trust))
    response = model.chat([ChatMessage(role="user", content=ASKED)])
    return response.additional_kwargs["atoma"]


def llama_index_stream(proxy, trust, stream_mode="buffered"):
    model = llama_index_atoma.AtomaChatModel(
        model=CHAT, stream_mode=stream_mode, **settings(proxy, trust)
    )

    async def last():
        asked = [ChatMessage(role="user", content=ASKED)]
        return [item async for item in await model.astream_chat(asked)][-1]

    return asyncio.run(last()).additional_kwargs["atoma"]


def llama_index_embeddings(proxy, trust):
    model = llama_index_atoma.AtomaEmbeddings(
        model_name=EMBEDDINGS, **settings(proxy, trust)
    )
    model.get_text_embedding_batch([ASKED])
    return model.last_verdict.as_dict()


CALLS = [
    langchain_chat,
    langchain_stream,
    langchain_embeddings,
    llama_index_chat,
    llama_index_stream,
    llama_index_embeddings,
]
"""Those that a middleman can answer who does not stream."""

LIVE_CALLS = [
    pytest.param(partial(stream, stream_mode=mode), id=f"{stream.__name__}-{mode}")
    for stream in (langchain_stream, llama_index_stream)
    for mode in ("auto", "live")
]
"""In mode auto a canary goes before the first stream; it is held to the policy too."""


AUTHORITY = Authority()
CONTRACT_NONCE = 7


def pinned(atoma):
    return TrustPolicy.pinned(keys=[atoma.node_public_key])


def recorded_key(atoma):
    """A policy that fetches: the node's record, which the middleman passes on."""
    atoma.evidence = atoma.node_public_key
    return RecordedKey()


def nvidia_offline(atoma):
    """Eight GPUs of a test authority vouch for the genuine key."""
    signed = report_nonce(CONTRACT_NONCE, atoma.node_public_key)
    chips = [AUTHORITY.chip(number=number) for number in range(8)]
    atoma.evidence = pack([chip.entry(signed) for chip in chips])
    policy = TrustPolicy.nvidia_offline(nonce=CONTRACT_NONCE)
    return replace(policy, root=AUTHORITY.fingerprint)


POLICIES = [pinned, recorded_key, nvidia_offline]
"""Each, given a genuine Atoma, is to accept its node and no other key."""


@pytest.fixture
def middleman(atoma):
    with Middleman(atoma) as middleman:
        yield middleman


@pytest.mark.parametrize("call", CALLS)
def test_where_the_proxy_is_believed_it_reads_everything(middleman, call):
    """Nothing in the answer tells: this is what the policies below are for."""
    verdict = call(middleman, None)
    assert verdict["sealed"] is True
    assert verdict["assurance"] == "proxy_asserted"
    assert verdict["signature"] == "unpinned"
    assert "node key" in verdict["not_proven"]
    assert any(ASKED in str(json.loads(read)) for read in middleman.read)
    assert len(middleman.read) == 2


@pytest.mark.parametrize("call", CALLS + LIVE_CALLS)
@pytest.mark.parametrize("policy", POLICIES)
def test_a_substituted_key_is_refused_before_a_byte_is_sealed_to_it(
    atoma, middleman, call, policy
):
    with pytest.raises(AttestationError) as caught:
        call(middleman, policy(atoma))
    assert caught.value.exposure is Exposure.LOCK
    record = "/v1/get_node_attestation/3"
    assert set(middleman.paths) <= {"/v1/nodes/lock", record}
    assert middleman.read == []
    assert not atoma.opened


@pytest.mark.parametrize("call", CALLS + LIVE_CALLS)
@pytest.mark.parametrize("policy", POLICIES)
def test_the_genuine_key_is_accepted_by_the_same_policy(atoma, call, policy):
    verdict = call(atoma, policy(atoma))
    assert verdict["assurance"] != "proxy_asserted"
