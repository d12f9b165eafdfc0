"""With inputs and outputs hidden, what still leaves is refused, or says nothing."""

import pytest
from lc_ways import WAYS, Answer, in_a_chain
from warned import egress_warnings

from langchain_atoma import PlaintextEgressError

pytestmark = pytest.mark.filterwarnings(
    "ignore::langchain_core._api.beta_decorator.LangChainBetaWarning"
)


@pytest.mark.parametrize("policy", ["warn", "refuse"])
def test_hidden_inputs_and_outputs_are_warned_of(
    atoma, make_chat, hidden, canary, policy
):
    with egress_warnings() as caught:
        for _ in range(2):
            make_chat(atoma, tracing_policy=policy).invoke(canary)
    (said,) = caught
    assert "prompts and answers are hidden" in said
    assert "llm" in hidden.sent().kinds
    assert not hidden.has(canary)


def _tool(canary):
    schema = {"type": "object", "properties": {"x": {"type": "string"}}}
    return {"name": "look_up", "description": canary, "parameters": schema}


def _of_tool(canary):
    return {"type": "function", "function": _tool(canary)}


def _fields(said):
    """Return fields of a model, each of which says something in words."""
    tools = [_of_tool(said)]
    schema = {"name": "answer", "schema": {"type": "object", "title": said}}
    return {
        "tools": {"model_kwargs": {"tools": tools}},
        "functions": {"model_kwargs": {"functions": [_tool(said)]}},
        "response_format": {
            "response_format": {"type": "json_schema", "json_schema": schema}
        },
        "stop": {"stop": [said]},
        "extra_body": {"extra_body": {"guided_choice": [said]}},
    }


NAMES = list(_fields(""))


@pytest.mark.parametrize("name", ["invoke", "astream"])
@pytest.mark.parametrize("said", NAMES)
async def test_words_beside_the_messages_are_not_hidden_and_refused(
    atoma, make_chat, hidden, canary, said, name
):
    fields = _fields(canary)[said]
    with egress_warnings() as caught:
        model = make_chat(atoma, tracing_policy="refuse", **fields)
    assert "tools, schemas and stop words" in caught[0]
    with pytest.raises(PlaintextEgressError, match="stop words"):
        await WAYS[name](model, "Where?")
    assert not hidden.sent().has(canary)
    assert atoma.exchanges == []


@pytest.mark.parametrize("said", NAMES)
async def test_words_that_are_bound_are_not_hidden_and_refused(
    atoma, make_chat, hidden, canary, said
):
    (fields,) = _fields(canary)[said].values()
    bound = fields if said in ("tools", "functions") else _fields(canary)[said]
    with egress_warnings():
        model = make_chat(atoma, tracing_policy="refuse")
    with pytest.raises(PlaintextEgressError):
        await in_a_chain(lambda: WAYS["ainvoke"](model.bind(**bound), "Where?"))
    assert "PlaintextEgressError" in hidden.sent().errors[0]
    assert not hidden.has(canary)
    assert atoma.exchanges == []


@pytest.mark.parametrize("method", ["json_schema", "function_calling", "json_mode"])
async def test_schemas_are_not_hidden_and_refused(
    atoma, make_chat, hidden, canary, method
):
    schema = {"title": "Answer", "description": canary, "type": "object"}
    schema["properties"] = {"answer": {"type": "string"}}
    with egress_warnings():
        model = make_chat(atoma, tracing_policy="refuse")
    chain = model.with_structured_output(schema, method=method)
    with pytest.raises(PlaintextEgressError):
        chain.invoke("Where?")
    with pytest.raises(PlaintextEgressError):
        _ = [item async for item in chain.astream("Where?")]
    assert not hidden.sent().has(canary)
    assert atoma.exchanges == []


def test_numbers_beside_the_messages_are_no_reason_to_refuse(
    atoma, make_chat, hidden, canary
):
    fields = {"temperature": 0.5, "logit_bias": {7: 1.5}, "user": "somebody"}
    with egress_warnings() as caught:
        model = make_chat(
            atoma, tracing_policy="refuse", extra_body={"top_k": 5}, **fields
        )
        model.bind(max_tokens=200, chat_template_kwargs={"thinking": True}).invoke(
            canary
        )
    assert len(caught) == 1
    assert not hidden.sent().has(canary)


def test_what_is_refused_would_have_been_traced(atoma, make_chat, hidden, canary):
    with egress_warnings():
        model = make_chat(atoma, stop=["never said"])
        model.bind_tools([_of_tool("a canary's description")]).invoke(canary)
    assert hidden.sent().has("a canary's description")
    assert hidden.has("never said")


FAULTS = [
    "lock-402",
    "lock-503",
    "post-401",
    "post-429",
    "post-500-bad-request",
    "tag-tampered",
    "reflection",
    "engine-error-object",
]


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("name", ["invoke", "astream", "structured-invoke"])
async def test_errors_of_the_network_hold_no_content(
    atoma, make_chat, hidden, canary, fault, name
):
    atoma.faults.always(fault)
    options = {"tracing_policy": "allow", "stream_mode": "buffered"}
    model = make_chat(atoma, max_retries=0, **options)
    with pytest.raises(Exception, match="Left the process"):
        await in_a_chain(lambda: WAYS[name](model, canary))
    assert len(hidden.sent().errors) >= 2  # the model's, and the chain's
    assert not hidden.has(canary)


def _unparsable(engine, canary):
    engine.message["content"] = f'{{"answer": ["{canary}"]}}'


def _no_json(engine, canary):
    engine.message["content"] = canary


def _truncated(engine, canary):
    engine.message["content"] = f'{{"answer": "{canary}'
    engine.choice["finish_reason"] = "length"


def _refused(engine, canary):
    engine.message |= {"content": None, "refusal": canary}


@pytest.mark.parametrize("say", [_unparsable, _no_json, _truncated, _refused])
@pytest.mark.parametrize("hide", [True, False])
def test_errors_of_answers_hold_no_content(
    request, scripted, make_chat, engine, canary, say, hide
):
    service = request.getfixturevalue("hidden" if hide else "traced")
    say(engine, canary)
    model = make_chat(scripted, tracing_policy="allow").with_structured_output(Answer)
    with pytest.raises(Exception, match="Left the process"):
        model.invoke(canary)
    assert service.sent().errors
    assert canary not in "".join(service.errors)
    assert service.has(canary) is not hide


def test_errors_of_what_is_refused_hold_no_content(atoma, make_chat, hidden, canary):
    model = make_chat(atoma, tracing_policy="allow")
    asked = [{"role": "user", "content": [{"type": "image_url", "of": canary}]}]
    for prompt, options in (
        (asked, {}),
        (canary, {"max_tokens": canary}),
        (canary, {"tools": [{canary: 1}]}),
        (canary, {"extra_body": {"messages": canary}}),
    ):
        with pytest.raises(Exception, match="Left the process: nothing"):
            model.invoke(prompt, **options)
    assert len(hidden.sent().errors) == 4
    assert canary not in "".join(hidden.errors)
