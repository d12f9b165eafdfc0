"""The model as an object: parameters, copies, hooks of core, tokens, event loops."""

import asyncio
import warnings

import httpx
import pytest
from langchain_core.callbacks import get_usage_metadata_callback
from langchain_core.messages import HumanMessage
from langchain_core.runnables import ConfigurableField
from langchain_core.tools import tool
from observed import Telemetry

from atoma_confidential import TrustPolicy
from langchain_atoma import AtomaChatModel, ChatAtoma, errors

PARAMETERS = {
    "frequency_penalty": 0.1,
    "logit_bias": {"50256": -100},
    "logprobs": True,
    "max_completion_tokens": 9,
    "max_tokens": 9,
    "n": 2,
    "presence_penalty": 0.2,
    "response_format": {"type": "json_object"},
    "seed": 7,
    "stop": ["END"],
    "temperature": 0.3,
    "top_logprobs": 2,
    "top_p": 0.9,
    "user": "u1",
}
BOUND_ONLY = {
    "functions": [{"name": "get", "parameters": {}}],
    "function_call": "auto",
    "tools": [{"type": "function", "function": {"name": "get", "parameters": {}}}],
    "tool_choice": "auto",
}


def test_every_parameter_as_a_field(scripted, engine, make_chat, canary):
    make_chat(scripted, **PARAMETERS).invoke(canary)
    (body,) = engine.asked
    assert {name: body[name] for name in PARAMETERS} == PARAMETERS


def test_every_parameter_per_call(scripted_chat, engine, canary):
    everything = {**PARAMETERS, **BOUND_ONLY, "parallel_tool_calls": False}
    scripted_chat.invoke(canary, **everything)
    assert {name: engine.asked[-1][name] for name in everything} == everything


def test_parameters_without_a_field(scripted, engine, make_chat, canary):
    make_chat(scripted, model_kwargs=BOUND_ONLY).invoke(canary)
    (body,) = engine.asked
    assert {name: body[name] for name in BOUND_ONLY} == BOUND_ONLY
    with pytest.warns(UserWarning, match="functions is not default parameter"):
        model = make_chat(scripted, functions=BOUND_ONLY["functions"])
    assert model.model_kwargs == {"functions": BOUND_ONLY["functions"]}


def test_parameters_of_the_engine(scripted, engine, make_chat, canary):
    model = make_chat(scripted, extra_body={"top_k": 5, "min_p": 0.1})
    model.invoke(canary, extra_body={"top_k": 6})
    assert (engine.asked[0]["top_k"], engine.asked[0]["min_p"]) == (6, 0.1)


def test_nothing_is_sent_that_was_not_asked_for(scripted_chat, engine, canary):
    scripted_chat.invoke(canary, stop=[])
    body = engine.asked[0]
    body.pop("max_completion_tokens")  # the core's, which the network needs
    assert body.keys() == {"model", "messages", "stream"}


def test_stop_sequences(scripted, engine, make_chat, canary):
    model = make_chat(scripted, stop_sequences=["A"])
    model.invoke(canary)
    model.invoke(canary, stop=["B"])
    model.bind(stop=["C"]).invoke(canary)
    make_chat(scripted, stop="D").invoke(canary)
    assert [body["stop"] for body in engine.asked] == [["A"], ["B"], ["C"], "D"]
    assert model._get_ls_params()["ls_stop"] == ["A"]
    assert make_chat(scripted, stop="D")._get_ls_params()["ls_stop"] == ["D"]


def test_another_model_for_one_call(scripted_chat, engine, canary):
    other = "meta-llama/Llama-3.1-8B-Instruct"
    message = scripted_chat.invoke(canary, model=other)
    assert engine.asked[0]["model"] == other
    assert message.response_metadata["model_name"] == other


def test_streaming_inside_invoke(scripted, engine, make_chat, canary):
    make_chat(scripted, streaming=True, stream_mode="live").invoke(canary)
    make_chat(scripted, stream_mode="live").invoke(canary, stream=True)
    assert [body["stream"] for body in engine.asked] == [True, True]


def test_disabled_streaming(scripted, engine, make_chat, canary):
    (chunk,) = make_chat(scripted, disable_streaming=True).stream(canary)
    assert chunk.content == "Yes."
    assert engine.asked[0]["stream"] is False


def test_configurable_fields_share_the_connections(scripted, engine, make_chat, canary):
    model = make_chat(scripted)
    configurable = model.configurable_fields(
        temperature=ConfigurableField(id="temperature"),
        model_name=ConfigurableField(id="model"),
    )
    other = "meta-llama/Llama-3.1-8B-Instruct"
    config = {"configurable": {"temperature": 0.7, "model": other}}
    configurable.with_config(config).invoke(canary)
    (body,) = engine.asked
    assert (body["temperature"], body["model"]) == (0.7, other)
    made, _ = configurable.prepare(config)
    assert made.clients is model.clients


def test_a_copy_with_other_settings_has_its_own_connections(
    scripted, make_atoma, engine, make_chat, canary
):
    model = make_chat(scripted)
    assert model.model_copy()._clients() is model.clients
    warmer = model.model_copy(update={"temperature": 1.0})
    assert warmer._clients() is model.clients
    ahead = model.model_copy(update={"lock_ahead": True})
    assert ahead._clients() is not model.clients
    elsewhere = make_atoma()
    moved = model.model_copy(
        update={"atoma_api_base": elsewhere.base_url, "max_retries": 0}
    )
    with pytest.raises(errors.AuthenticationError):
        moved.invoke(canary)
    assert engine.asked == []
    assert model.invoke(canary).text == "Yes."


def test_the_trust_policy_decides(atoma, make_chat, canary):
    pinned = TrustPolicy.pinned(keys=[atoma.node_public_key])
    verdict = make_chat(atoma, trust=pinned).invoke(canary).response_metadata["atoma"]
    assert verdict["assurance"] == "key_pinned"
    stranger = TrustPolicy.pinned(keys=[bytes(31) + b"\x09"])
    with pytest.raises(errors.AttestationError):
        make_chat(atoma, trust=stranger).invoke(canary)
    assert len(atoma.opened) == 1


async def test_given_http_clients_are_used(scripted, engine, make_chat, canary):
    used = []
    hooks = {"request": [lambda request: used.append(request.url.path)]}

    async def note(request):
        used.append(request.url.path)

    with httpx.Client(event_hooks=hooks) as sync:
        make_chat(scripted, http_client=sync).invoke(canary)
        assert not sync.is_closed
    async with httpx.AsyncClient(event_hooks={"request": [note]}) as asynchronous:
        await make_chat(scripted, http_async_client=asynchronous).ainvoke(canary)
    assert len(used) == 4
    assert used[0] == used[2] == "/v1/nodes/lock"


def test_several_event_loops(scripted_chat, canary):
    async def both():
        whole = await scripted_chat.ainvoke(canary)
        return [whole.text] + [
            chunk.text async for chunk in scripted_chat.astream(canary)
        ]

    for _ in range(3):
        assert asyncio.run(both()) == ["Yes.", "Yes.", ""]


def test_batches(scripted_chat, canary):
    prompts = [f"{canary} {n}" for n in range(5)]
    assert [m.text for m in scripted_chat.batch(prompts)] == ["Yes."] * 5
    answers = asyncio.run(scripted_chat.abatch(prompts))
    assert [m.text for m in answers] == ["Yes."] * 5
    done = dict(scripted_chat.batch_as_completed(prompts))
    assert sorted(done) == [0, 1, 2, 3, 4]


async def test_locks_taken_ahead(atoma, make_chat, canary):
    with Telemetry() as telemetry:
        model = make_chat(atoma, lock_ahead=True)
        for _ in range(2):
            model.invoke(canary)
        model = make_chat(atoma, lock_ahead=True)
        for _ in range(2):
            await model.ainvoke(canary)
    assert telemetry.own_locks == [1, 0, 1, 0]


def test_usage_is_seen_by_callbacks(scripted_chat, canary):
    with get_usage_metadata_callback() as seen:
        scripted_chat.invoke(canary)
        [*scripted_chat.stream(canary)]
    (usage,) = seen.usage_metadata.values()
    assert usage["total_tokens"] == 24


def test_what_traces_say_of_the_model(make_chat, atoma):
    model = make_chat(atoma, temperature=0.5, max_tokens=9)
    assert model._get_ls_params(model="other") == {
        "ls_provider": "atoma",
        "ls_model_name": "other",
        "ls_model_type": "chat",
        "ls_temperature": 0.5,
        "ls_max_tokens": 9,
    }
    assert model._llm_type == "atoma-chat"
    assert model.metadata["atoma_confidential"] is True
    assert model.metadata["lc_versions"]["langchain-atoma"]
    given = {"team": "a", "atoma_confidential": "mine"}
    kept = make_chat(atoma, metadata=given).metadata
    assert (kept["team"], kept["atoma_confidential"]) == ("a", "mine")


def test_profiles_are_known_or_given(make_chat, atoma):
    assert make_chat(atoma).profile["max_input_tokens"] == 131_072
    assert "structured_output" not in make_chat(atoma).profile
    other = make_chat(atoma, model="meta-llama/Llama-3.1-8B-Instruct")
    assert other.profile == {"max_input_tokens": 131_072}
    assert make_chat(atoma, model="some/other").profile is None
    mine = {"structured_output": True}
    assert make_chat(atoma, profile=mine).profile == mine


def test_tokens_are_counted_without_a_tokenizer(chat, atoma, make_chat):
    @tool
    def weather(city: str) -> str:
        """Tell the weather."""
        return city

    text = "How many tokens are these?"
    assert 3 <= chat.get_num_tokens(text) <= 30
    messages = [HumanMessage(text)]
    few = chat.get_num_tokens_from_messages(messages)
    assert chat.get_num_tokens_from_messages(messages, tools=[weather]) > few
    with pytest.raises(NotImplementedError, match="custom_get_token_ids"):
        chat.get_token_ids(text)
    encoded = make_chat(atoma, custom_get_token_ids=lambda text: list(range(len(text))))
    assert encoded.get_num_tokens("four") == 4
    assert encoded.get_token_ids("four") == [0, 1, 2, 3]
    assert atoma.exchanges == []


def test_an_alias_by_convention():
    assert ChatAtoma is AtomaChatModel
    assert AtomaChatModel.__name__ == "AtomaChatModel"


@pytest.mark.parametrize("variable", ["OPENAI_API_KEY", "OPENAI_API_BASE"])
def test_no_other_providers_environment_is_read(monkeypatch, variable):
    monkeypatch.setenv(variable, "https://elsewhere.example")
    with pytest.raises(errors.MissingCredentialsError):
        AtomaChatModel(model="m")
    with warnings.catch_warnings(action="error"):
        assert AtomaChatModel(model="m", api_key="k").atoma_api_base is None
