"""What LangChain's cache of answers shares between models."""

import copy

import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.globals import set_llm_cache
from langchain_core.stores import InMemoryByteStore

from atoma_confidential import CacheSecret, TrustPolicy
from langchain_atoma import EncryptedCache, errors

OTHER_CHAT = "meta-llama/Llama-3.1-8B-Instruct"
STRANGER = bytes(31) + b"\x09"


class AcceptsAll(TrustPolicy):
    """A policy of a user's own."""

    name = "mine"
    identity = "mine"

    def appraise(self, candidate, *, now):
        accepted = TrustPolicy.proxy_asserted().appraise(candidate, now=now)
        return (yield from accepted)


@pytest.fixture(autouse=True, params=["clear", "encrypted"])
def _cached(request):
    if request.param == "clear":
        set_llm_cache(InMemoryCache())
    else:
        set_llm_cache(EncryptedCache(InMemoryByteStore(), CacheSecret.generate()))


@pytest.fixture
def stranger():
    return TrustPolicy.pinned(keys=[STRANGER])


def test_models_with_one_policy_share(atoma, make_chat, canary):
    keys = [STRANGER, atoma.node_public_key]
    for ordered in (keys, keys[::-1]):
        make_chat(atoma, trust=TrustPolicy.pinned(keys=ordered)).invoke(canary)
    assert len(atoma.opened) == 1
    make_chat(atoma).invoke(canary)
    make_chat(atoma, trust=TrustPolicy.proxy_asserted()).invoke(canary)
    make_chat(atoma).model_copy().invoke(canary)
    # One that has no policy is written out in the key, and one that has is not.
    assert len(atoma.opened) == 3


@pytest.mark.parametrize("other", [None, AcceptsAll()])
async def test_a_policy_is_not_answered_from_keys_it_refuses(
    atoma, make_chat, canary, other, stranger
):
    model = make_chat(atoma, trust=other)
    model.invoke(canary)
    with pytest.raises(errors.AttestationError):
        make_chat(atoma, trust=stranger).invoke(canary)
    with pytest.raises(errors.AttestationError):
        model.model_copy(update={"trust": stranger}).invoke(canary)
    copied = model.model_copy(update={"trust": stranger})
    with pytest.raises(errors.AttestationError):
        await copied.ainvoke(canary)
    await copied._clients().aclose()  # what caught the error holds it in a cycle
    model.trust = stranger
    with pytest.raises(errors.AttestationError):
        model.invoke(canary)


def test_pinned_keys_are_told_apart(atoma, make_chat, canary, stranger):
    pinned = TrustPolicy.pinned(keys=[atoma.node_public_key])
    make_chat(atoma, trust=pinned).invoke(canary)
    with pytest.raises(errors.AttestationError):
        make_chat(atoma, trust=stranger).invoke(canary)


def test_policies_share_by_what_they_say_they_are(atoma, make_chat, canary):
    for _ in range(2):
        make_chat(atoma, trust=AcceptsAll()).invoke(canary)
    assert len(atoma.opened) == 1
    other = AcceptsAll()
    other.identity = "mine, but stricter"
    make_chat(atoma, trust=other).invoke(canary)
    assert len(atoma.opened) == 2


@pytest.mark.parametrize("fields", [{"temperature": 0.5}, {"model": OTHER_CHAT}])
def test_models_with_a_policy_are_told_apart_by_their_parameters(
    scripted, engine, make_chat, canary, fields
):
    trust = TrustPolicy.pinned(keys=[scripted.node_public_key])
    make_chat(scripted, trust=trust).invoke(canary)
    make_chat(scripted, trust=trust, **fields).invoke(canary)
    assert len(engine.asked) == 2


def test_a_copy_for_another_address(atoma, make_atoma, make_chat, canary):
    model = make_chat(atoma)
    model.invoke(canary)
    moved = model.model_copy(update={"atoma_api_base": make_atoma().base_url})
    with pytest.raises(errors.AuthenticationError):
        moved.invoke(canary)


@pytest.mark.clear_text
def test_a_confidential_copy_of_a_plain_model(atoma, make_chat):
    plain = make_chat(atoma, confidential=False)
    plain.invoke("Hello there")
    sealed = plain.model_copy(update={"confidential": True})
    answer = sealed.invoke("Hello there")
    assert answer.response_metadata["atoma"]["sealed"] is True


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_a_copy_is_written_out_anew(atoma, make_chat, canary, copied):
    model = make_chat(atoma)
    model.invoke(canary)
    other = copied(model)
    other.temperature = 0.5
    assert model._serialized["kwargs"].get("temperature") is None
    assert other._serialized["kwargs"]["temperature"] == 0.5
