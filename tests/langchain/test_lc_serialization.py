"""The key stays out of everything that is written down."""

import copy
import json
import logging
import pickle
import traceback
import warnings

import pytest
from langchain_core.load import dumpd, dumps, load
from pydantic import ValidationError, field_validator

from atoma_confidential import TrustPolicy
from langchain_atoma import AtomaChatModel, AtomaEmbeddings, errors


def loaded(data, **options):
    with warnings.catch_warnings(action="ignore"):  # load() is beta
        return load(
            data,
            allowed_objects=[AtomaChatModel],
            valid_namespaces=["langchain_atoma"],
            **options,
        )


@pytest.fixture
def model(atoma, make_chat):
    return make_chat(atoma, temperature=0.5, stop=["END"], extra_body={"top_k": 5})


@pytest.fixture
def pinned(atoma, make_chat):
    return make_chat(atoma, trust=TrustPolicy.pinned(keys=[atoma.node_public_key]))


def test_there_and_back(atoma, model, canary):
    back = loaded(dumpd(model), secrets_map={"ATOMA_API_KEY": atoma.api_key})
    assert isinstance(back, AtomaChatModel)
    assert back.asdict() == model.asdict()
    assert back.atoma_api_base == atoma.base_url
    assert back.invoke(canary).text


def test_a_key_from_the_environment(atoma, model, monkeypatch):
    monkeypatch.setenv("ATOMA_API_KEY", atoma.api_key)
    back = loaded(dumpd(model), secrets_from_env=True)
    assert back.atoma_api_key.get_secret_value() == atoma.api_key
    monkeypatch.delenv("ATOMA_API_KEY")
    with pytest.raises(errors.MissingCredentialsError):
        loaded(dumpd(model))


def test_no_key_in_what_is_written(atoma, model, canary):
    model.invoke(canary)
    key = atoma.api_key
    assert key not in dumps(model) + repr(model) + str(model) + repr(dumpd(model))
    assert key not in json.dumps(model.model_dump(mode="json"), default=str)
    assert key not in repr(model.clients)
    assert key not in str(model._get_invocation_params()) + str(model._get_llm_string())
    assert key not in repr(model.with_structured_output(method="json_mode"))


def test_connections_are_not_serialised(model):
    written = dumpd(model)["kwargs"]
    assert not written.keys() & {"trust", "clients", "http_client", "http_async_client"}
    assert written["atoma_api_key"] == {
        "lc": 1,
        "type": "secret",
        "id": ["ATOMA_API_KEY"],
    }


def test_a_model_with_a_policy_is_not_serialised_without_it(pinned, canary):
    written = dumpd(pinned)
    assert written["type"] == "not_implemented"
    with pytest.raises(NotImplementedError):
        loaded(written)
    assert pinned.invoke(canary).response_metadata["atoma"]["assurance"] == "key_pinned"


def test_a_policy_is_pickled_and_copied(pinned, atoma, monkeypatch):
    monkeypatch.setenv("ATOMA_API_KEY", atoma.api_key)
    assert pickle.loads(pickle.dumps(pinned)).trust == pinned.trust
    assert copy.deepcopy(pinned).trust == pinned.trust


async def test_pickling(atoma, model, monkeypatch, canary):
    model.invoke(canary)
    await model.ainvoke(canary)
    pickled = pickle.dumps(model)
    assert atoma.api_key.encode() not in pickled

    keyless = pickle.loads(pickled)
    with pytest.raises(errors.MissingCredentialsError):
        keyless.invoke(canary)
    monkeypatch.setenv("ATOMA_API_KEY", atoma.api_key)
    back = pickle.loads(pickled)
    assert back.asdict() == model.asdict()
    assert back.invoke(canary).text == model.invoke(canary).text


def test_deep_copies_work_on(model, canary):
    copied = copy.deepcopy(model)
    assert copied.asdict() == model.asdict()
    assert copied.extra_body is not model.extra_body
    assert copied.invoke(canary).text == model.invoke(canary).text


def test_no_key_and_no_prompt_in_errors_and_logs(atoma, make_chat, canary, caplog):
    caplog.set_level(logging.DEBUG)
    written = []
    for fault in ("post-401", "post-500", "tag-tampered", "engine-error-object"):
        atoma.faults.clear()
        atoma.faults.always(fault)
        with pytest.raises(errors.ConfidentialError) as caught:
            make_chat(atoma, max_retries=0).invoke(canary)
        written += traceback.format_exception(caught.value)
    said = "".join(written) + caplog.text
    assert atoma.api_key not in said
    assert canary not in said


@pytest.mark.parametrize("field", ["api_key", "max_retries", "temperature", "timeout"])
def test_a_field_that_does_not_fit_is_not_quoted(field):
    given = {"model": "m", "api_key": "sk-hunter2-key"}
    with pytest.raises(
        errors.InvalidInputError, match=f"{field}: Input should"
    ) as info:
        AtomaChatModel(**{**given, field: ["sk-hunter2-key"]})
    assert "hunter2" not in str(info.value)


@pytest.mark.parametrize("kind", [AtomaChatModel, AtomaEmbeddings])
@pytest.mark.parametrize("name", ["api_key", "atoma_api_key"])
def test_a_forgotten_model_does_not_tell_the_key(kind, name):
    given = {name: "sk-hunter2-key"}
    with pytest.raises(errors.InvalidInputError, match="model: Field required") as info:
        kind(**given)
    assert info.value.__context__ is None
    for validate in (kind.model_validate, lambda o: kind.model_validate_json(dumps(o))):
        with pytest.raises(ValidationError, match="model: Field required") as caught:
            validate(given)
        assert "hunter2" not in repr(caught.value.errors()) + caught.value.json()
        made = validate({**given, "model": "m"})
        assert made.atoma_api_key.get_secret_value() == "sk-hunter2-key"


def test_what_a_subclass_says_of_its_input_is_not_repeated():
    class Checked(AtomaEmbeddings):
        @field_validator("model")
        @classmethod
        def _refuse(cls, value):
            raise ValueError(value)

    with pytest.raises(errors.InvalidInputError, match="model: not accepted") as info:
        Checked(model="hunter2", api_key="k")
    assert "hunter2" not in str(info.value)


def test_what_is_no_mapping_is_no_model():
    with pytest.raises(ValidationError, match="valid dictionary"):
        AtomaEmbeddings.model_validate(5)
