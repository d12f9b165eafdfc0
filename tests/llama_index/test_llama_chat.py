"""The eight endpoints, and what a model says of itself."""

import json
import socket

import pytest
from llama_endpoints import ASKED
from llama_index.core.base.llms.base import BaseLLM
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.prompts import PromptTemplate
from pydantic import field_validator

from llama_index_atoma import AtomaChatModel, errors

CHAT = "meta-llama/Llama-3.3-70B-Instruct"


def test_the_class_is_what_llama_index_looks_for():
    names = [base.__name__ for base in AtomaChatModel.__mro__]
    assert BaseLLM.__name__ in names
    assert issubclass(AtomaChatModel, FunctionCallingLLM)
    assert not AtomaChatModel.__abstractmethods__
    assert AtomaChatModel.class_name() == "AtomaChatModel"


def test_every_endpoint_answers_sealed(atoma, make_chat, endpoint, no_plaintext):
    model = make_chat(atoma, system_prompt="not sent by chat")
    no_plaintext("local stand-in and answer")
    assert "stand-in" in endpoint(model)
    paths = {exchange.path for exchange in atoma.exchanges}
    assert "/v1/confidential/chat/completions" in paths
    assert not any(path == "/v1/chat/completions" for path in paths)


@pytest.mark.clear_text
def test_plain_only_by_name(atoma, make_chat, endpoint, caplog):
    model = make_chat(atoma, confidential=False)
    assert "stand-in" in endpoint(model)
    assert {exchange.path for exchange in atoma.exchanges} == {"/v1/chat/completions"}
    assert "travel in clear" in caplog.text


@pytest.mark.clear_text
def test_a_plain_answer_says_so(atoma, make_chat):
    response = make_chat(atoma, confidential=False).chat(ASKED)
    assert response.additional_kwargs["atoma"]["sealed"] is False


@pytest.mark.parametrize(
    ("fault", "kind", "status"),
    [
        ("post-400", errors.InvalidRequestError, 400),
        ("post-401", errors.AuthenticationError, 401),
        ("post-402", errors.BalanceError, 402),
        ("post-429", errors.RateLimitError, 429),
        ("post-500-node", errors.NodeFailureError, 500),
        ("lock-503", errors.NodeUnavailableError, 503),
    ],
)
def test_refusals_are_typed(atoma, make_chat, endpoint, fault, kind, status, canary):
    atoma.faults.always(fault)
    model = make_chat(atoma, max_retries=0, user=canary)
    with pytest.raises(kind) as caught:
        endpoint(model)
    assert caught.value.status == status
    assert canary not in str(caught.value)
    assert atoma.api_key not in repr(caught.value)


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("reply-not-json", errors.RemoteProtocolError),
        ("tag-tampered", errors.OpenError),
        ("post-cut", errors.ConnectionLostError),
        ("engine-error-object", errors.EngineError),
    ],
)
def test_broken_answers_are_typed(atoma, make_chat, fault, kind):
    atoma.faults.always(fault)
    with pytest.raises(kind):
        make_chat(atoma, max_retries=0).chat(ASKED)


def test_no_answer_in_time(atoma, make_chat, endpoint):
    atoma.faults.always("post-silent", "stream-silent:0")
    model = make_chat(atoma, max_retries=0, timeout=0.3, stream_mode="live")
    with pytest.raises(errors.ReplyTimeoutError):
        endpoint(model)


def test_retries_are_the_cores_alone(atoma, make_chat, endpoint):
    atoma.faults.once("post-429-retry-after:0", "post-429-retry-after:0")
    assert "stand-in" in endpoint(make_chat(atoma, max_retries=2, stream_mode="live"))
    posts = [e for e in atoma.exchanges if "chat" in e.path]
    assert len(posts) == 3


def test_a_refused_key_is_not_tried_again(atoma, make_chat, endpoint):
    with pytest.raises(errors.AuthenticationError):
        endpoint(make_chat(atoma, api_key="wrong", max_retries=5))
    assert len(atoma.exchanges) == 1


def test_usage_stands_in_three_places(scripted_chat):
    response = scripted_chat.chat(ASKED)
    assert response.raw["usage"]["total_tokens"] == 12
    assert response.additional_kwargs["prompt_tokens"] == 7
    completion = scripted_chat.complete("Q")
    assert completion.additional_kwargs["completion_tokens"] == 5
    assert completion.additional_kwargs["atoma"]["hash"] == "verified"


def test_a_completion_does_not_change_what_it_is_made_of(scripted_chat, engine):
    engine.message = {"role": "assistant", "content": None, "refusal": "No."}
    completion = scripted_chat.complete("Q")
    assert completion.text == ""
    assert completion.additional_kwargs["refusal"] == "No."
    response = scripted_chat.chat(ASKED)
    assert response.message.additional_kwargs == {"refusal": "No."}


def test_completion_to_prompt_is_heeded_unless_done(scripted_chat, engine):
    scripted_chat.completion_to_prompt = "<{}>".format
    scripted_chat.complete("Q")
    assert engine.asked[-1]["messages"] == [{"role": "user", "content": "<Q>"}]
    scripted_chat.complete("Q", formatted=True)
    assert engine.asked[-1]["messages"][0]["content"] == "Q"
    list(scripted_chat.stream_complete(prompt="Q"))
    assert engine.asked[-1]["messages"][0]["content"] == "<Q>"


def test_a_prompt_is_needed_once(scripted_chat):
    with pytest.raises(ValueError, match="No prompt"):
        scripted_chat.complete()
    with pytest.raises(TypeError, match="multiple values"):
        scripted_chat.complete("Q", prompt="Q")


def test_what_is_set_and_what_is_passed(scripted, make_chat, engine):
    model = make_chat(
        scripted,
        temperature=0.0,
        max_tokens=9,
        stop=["x"],
        seed=3,
        additional_kwargs={"top_p": 0.5},
        extra_body={"top_k": 4},
    )
    model.chat(ASKED, temperature=0.7, extra_body={"min_p": 0.1})
    body = engine.asked[-1]
    sent = {key: body[key] for key in ("temperature", "max_tokens", "seed", "top_p")}
    assert sent == {"temperature": 0.7, "max_tokens": 9, "seed": 3, "top_p": 0.5}
    assert (body["stop"], body["top_k"], body["min_p"]) == (["x"], 4, 0.1)
    model.chat(ASKED)
    assert engine.asked[-1]["temperature"] == 0.0, "an explicit zero is sent"


def test_a_misspelt_parameter_is_told(scripted_chat, engine):
    with pytest.raises(TypeError, match=r"temprature.*extra_body"):
        scripted_chat.chat(ASKED, temprature=1)
    assert engine.asked == []


def test_probabilities(atoma, make_chat):
    model = make_chat(atoma, logprobs=True, top_logprobs=2)
    response = model.chat(ASKED)
    assert len(response.logprobs) > 3
    assert "".join(ranked[0].token for ranked in response.logprobs) == str(
        response.message.content
    )
    *_, last = model.stream_chat(ASKED)
    assert last.logprobs == response.logprobs
    json.dumps(last.raw)


def test_thoughts_of_a_whole_answer(atoma, make_chat):
    thinking = {"chat_template_kwargs": {"enable_thinking": True}}
    response = make_chat(atoma, extra_body=thinking).chat(ASKED)
    first, second = response.message.blocks
    assert first.block_type == "thinking"
    assert first.content.startswith("The question is about")
    assert second.text == response.message.content


def test_the_system_prompt_is_added_by_predict_and_not_by_chat(scripted_chat, engine):
    scripted_chat.system_prompt = "S"
    scripted_chat.chat(ASKED)
    assert [m["role"] for m in engine.asked[-1]["messages"]] == ["user"]
    assert scripted_chat.predict(PromptTemplate("{q}"), q="Q") == "Yes."
    assert engine.asked[-1]["messages"] == [
        {"role": "system", "content": "S"},
        {"role": "user", "content": "Q"},
    ]
    assert "".join(scripted_chat.stream(PromptTemplate("Q"))) == "Yes."


def test_metadata_is_pure(monkeypatch):
    def no_socket(*args, **kwargs):
        raise AssertionError("metadata asks nobody")

    model = AtomaChatModel(model="nobody/knows-this", api_key="k")
    monkeypatch.setattr(socket, "socket", no_socket)
    metadata = model.metadata
    assert metadata.is_chat_model
    assert metadata.is_function_calling_model
    assert metadata.model_name == "nobody/knows-this"
    assert metadata.context_window == 32_768
    assert metadata.num_output == -1


def test_metadata_of_a_known_model_and_of_one_that_is_told():
    known = AtomaChatModel(model=CHAT, api_key="k", max_tokens=99).metadata
    assert (known.context_window, known.num_output) == (131_072, 99)
    told = AtomaChatModel(
        model=CHAT, api_key="k", context_window=8000, is_function_calling_model=False
    ).metadata
    assert told.context_window == 8000
    assert not told.is_function_calling_model


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({}, "model: Field required"),
        ({"model": " "}, "model is empty"),
        ({"model": "m", "temprature": 1}, "temprature"),
        ({"model": "m", "context_window": 0}, "context_window"),
        ({"model": "m", "stream_mode": "fast"}, "stream_mode"),
        ({"model": "m", "tracing_policy": "maybe"}, "tracing_policy"),
        ({"model": "m", "base_url": "http://example.com"}, "another machine"),
        ({"model": "m", "max_retries": -1}, "max_retries"),
    ],
)
def test_a_setting_that_cannot_be_used(fields, told):
    with pytest.raises(errors.InvalidInputError, match=told) as caught:
        AtomaChatModel(api_key="canary-key-0451", **fields)
    assert "canary-key-0451" not in str(caught.value) + repr(caught.value)
    assert caught.value.__cause__ is caught.value.__context__ is None


def test_what_a_validator_says_of_its_input_is_not_repeated():
    class Checked(AtomaChatModel):
        @field_validator("model")
        @classmethod
        def _refuse(cls, value):
            raise ValueError(value)

    with pytest.raises(errors.InvalidInputError, match="model: not accepted") as caught:
        Checked(model="hunter2", api_key="k")
    assert "hunter2" not in str(caught.value)


def test_no_key(monkeypatch):
    with pytest.raises(errors.MissingCredentialsError, match="ATOMA_API_KEY"):
        AtomaChatModel(model=CHAT)
    monkeypatch.setenv("ATOMASDK_BEARER_AUTH", "k")
    AtomaChatModel(model=CHAT)
