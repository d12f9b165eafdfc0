"""Copies, pickles and dicts of a model: what is kept, and what is not."""

import asyncio
import copy
import pickle

import pytest
from llama_used import ause, use

from atoma_confidential import TrustPolicy
from llama_index_atoma import errors


@pytest.fixture(params=["chat", "embeddings"])
def model(request, atoma, make_chat, make_embeddings):
    make = make_chat if request.param == "chat" else make_embeddings
    return make(atoma, max_retries=1)


def test_pickled_before_and_after_use(model, monkeypatch, atoma, caplog):
    monkeypatch.setenv("ATOMA_API_KEY", atoma.api_key)
    expected = use(model)
    asyncio.run(ause(model))
    data = pickle.dumps(model)
    assert atoma.api_key.encode() not in data
    twin = pickle.loads(data)
    assert twin.max_retries == 1
    assert use(twin) == expected
    assert asyncio.run(ause(twin)) == expected
    assert use(model) == expected, "the one that was pickled still works"
    assert caplog.records == []


def test_unpickled_where_there_is_no_key(model):
    twin = pickle.loads(pickle.dumps(model))
    with pytest.raises(errors.MissingCredentialsError, match="ATOMA_API_KEY"):
        use(twin)


def test_deep_copies(model):
    expected = use(model)
    asyncio.run(ause(model))
    twin = copy.deepcopy(model)
    assert use(twin) == expected
    assert asyncio.run(ause(twin)) == expected
    assert model.model_copy(deep=True).to_dict() == model.to_dict()


def test_a_copy_with_another_address_does_not_use_the_old_one(model, make_atoma):
    use(model)
    other = make_atoma()
    update = {"base_url": other.base_url, "api_key": other.api_key}
    use(model.model_copy(update=update))
    assert len(other.opened) == 1


def test_there_and_back_through_dicts_and_json(model, monkeypatch, atoma):
    monkeypatch.setenv("ATOMA_API_KEY", atoma.api_key)
    monkeypatch.setenv("ATOMA_BASE_URL", atoma.base_url)
    expected = use(model)
    for twin in (
        type(model).from_dict(model.to_dict()),
        type(model).from_json(model.to_json()),
    ):
        assert twin.to_dict() == model.to_dict()
        assert use(twin) == expected


def test_no_policy_is_lost_on_the_way(model, monkeypatch, atoma):
    monkeypatch.setenv("ATOMA_API_KEY", atoma.api_key)
    monkeypatch.setenv("ATOMA_BASE_URL", atoma.base_url)
    other = TrustPolicy.pinned(keys=[bytes(31) + b"x"])
    model.trust, model.tracing_policy = other, "refuse"
    data = model.to_dict()
    with pytest.raises(errors.InvalidInputError, match="trust"):
        type(model).from_dict(data)
    given = type(model).from_dict(data, trust=other)
    pickled = pickle.loads(pickle.dumps(model))
    for twin in (given, pickled, copy.deepcopy(model), model.model_copy()):
        assert twin.tracing_policy == "refuse"
        with pytest.raises(errors.AttestationError):
            use(twin)


def test_unpickling_ends_in_an_error_and_not_in_a_hang():
    failure = errors.RateLimitError("m", errors.Exposure.SEALED, 429, "C", 2.0)
    twin = pickle.loads(pickle.dumps(failure))
    assert (twin.status, twin.retry_after) == (429, 2.0)
    assert str(twin) == str(failure)
