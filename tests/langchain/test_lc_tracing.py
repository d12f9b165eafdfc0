"""LangSmith and each policy, against a collector that really receives runs."""

import asyncio
import contextlib
import warnings

import pytest
from collector import Collector
from langchain_core.runnables import RunnableLambda
from langchain_core.tracers.context import tracing_v2_enabled
from langchain_core.tracers.langchain import LangChainTracer
from langsmith import Client, run_helpers, run_trees
from langsmith.utils import get_env_var
from pydantic import BaseModel

from langchain_atoma import PlaintextEgressError, PlaintextEgressWarning

pytestmark = pytest.mark.filterwarnings(
    "ignore::langchain_core._api.beta_decorator.LangChainBetaWarning"
)


class Answer(BaseModel):
    """An answer."""

    answer: str = ""


class LangSmith(Collector):
    """The collector, and LangSmith's own client of it, which sends in a thread."""

    def __enter__(self):
        super().__enter__()
        self.client = Client(api_url=self.url, api_key="key")
        return self

    def __exit__(self, *exc):
        self.client.close()
        super().__exit__(*exc)

    def sent(self):
        """Wait for all that was to be sent."""
        self.client.flush()
        return self

    def switch_on(self, monkeypatch):
        monkeypatch.setenv("LANGSMITH_TRACING", "true")
        get_env_var.cache_clear()


@pytest.fixture
async def make_chat(make_chat):
    """Make models whose connections are closed: tracers hold on to them."""
    made = []

    def make(*args, **fields):
        made.append(make_chat(*args, **fields))
        return made[-1]

    yield make
    for model in made:
        await model.clients.asynchronous.aclose()


@pytest.fixture
def langsmith(monkeypatch):
    """LangSmith, switched off."""
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")
    get_env_var.cache_clear()
    with LangSmith() as service:
        # The client that tracers share is otherwise made once a process.
        monkeypatch.setattr(run_trees, "_CLIENT", service.client)
        yield service
    get_env_var.cache_clear()


@pytest.fixture
def traced(langsmith, monkeypatch):
    """LangSmith, switched on by the environment."""
    langsmith.switch_on(monkeypatch)
    return langsmith


async def listed(items):
    return [item async for item in items]


async def _invoke(model, prompt):
    return model.invoke(prompt)


async def _ainvoke(model, prompt):
    return await model.ainvoke(prompt)


async def _stream(model, prompt):
    return [*model.stream(prompt)]


async def _astream(model, prompt):
    return await listed(model.astream(prompt))


async def _transform(model, prompt):
    return [*model.transform(iter([prompt]))]


async def _atransform(model, prompt):
    async def asked():
        yield prompt

    return await listed(model.atransform(asked()))


async def _batch(model, prompt):
    return model.batch([prompt, f"{prompt}?"])


async def _abatch(model, prompt):
    return await model.abatch([prompt, f"{prompt}?"])


async def _generate(model, prompt):
    return model.generate_prompt([model._convert_input(prompt)])


async def _events_v2(model, prompt):
    return await listed(model.astream_events(prompt, version="v2"))


async def _events_v3(model, prompt):
    return model.stream_events(prompt, version="v3").output


async def _aevents_v3(model, prompt):
    return await (await model.astream_events(prompt, version="v3")).output


def parsed(way, **options):
    """Make a way of asking for a structured answer."""

    async def ask(model, prompt):
        return await way(model.with_structured_output(Answer, **options), prompt)

    return ask


WAYS = {
    "invoke": _invoke,
    "ainvoke": _ainvoke,
    "stream": _stream,
    "astream": _astream,
    "batch": _batch,
    "abatch": _abatch,
    "generate": _generate,
    "astream_events-v2": _events_v2,
    "stream_events-v3": _events_v3,
    "astream_events-v3": _aevents_v3,
    "structured-invoke": parsed(_invoke),
    "structured-ainvoke": parsed(_ainvoke),
    "structured-stream": parsed(_stream),
    "structured-astream": parsed(_astream),
    "structured-batch": parsed(_batch),
    "structured-abatch": parsed(_abatch),
    "structured-transform": parsed(_transform),
    "structured-atransform": parsed(_atransform),
    "structured-events-v2": parsed(_events_v2),
    "structured-calls": parsed(_invoke, method="function_calling"),
    "structured-json": parsed(_invoke, method="json_mode"),
    "structured-raw": parsed(_invoke, include_raw=True),
    "structured-raw-stream": parsed(_stream, include_raw=True),
    "structured-raw-astream": parsed(_astream, include_raw=True),
}


@pytest.fixture(params=WAYS)
def way(request):
    return WAYS[request.param]


@contextlib.contextmanager
def egress_warnings():
    """Give the texts of all warnings of ours, once the block has ended."""
    said = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield said
    said += [str(w.message) for w in caught if w.category is PlaintextEgressWarning]


def noted(text):
    """Run something else, which is traced as before."""
    RunnableLambda(lambda text: text, name="else").invoke(text)


async def in_a_chain(ask):
    """Ask within a run of which the collector hears nothing but a number."""

    async def chain(_):
        return await ask()

    return await RunnableLambda(chain).ainvoke(7)


async def test_allowed_everything_leaves(atoma, make_chat, traced, canary, way):
    assert await way(make_chat(atoma, tracing_policy="allow"), canary)
    assert traced.sent().has(canary)
    assert "llm" in traced.kinds


async def test_refused_nothing_leaves(
    atoma, make_chat, langsmith, monkeypatch, canary, way
):
    model = make_chat(atoma, tracing_policy="refuse")
    langsmith.switch_on(monkeypatch)
    with pytest.raises(PlaintextEgressError, match=r"langsmith .*LANGSMITH_TRACING"):
        await way(model, canary)
    assert langsmith.sent().bodies == []
    assert atoma.exchanges == []


async def test_suppressed_nothing_of_the_model_leaves(
    atoma, make_chat, traced, canary, way
):
    assert await way(make_chat(atoma, tracing_policy="suppress"), canary)
    assert traced.sent().bodies == []
    assert atoma.opened
    noted("something else")
    assert traced.sent().has("something else")


async def test_warned_once(atoma, make_chat, langsmith, monkeypatch, canary, way):
    model = make_chat(atoma)
    langsmith.switch_on(monkeypatch)
    with egress_warnings() as caught:
        for _ in range(2):
            assert await way(model, canary)
    (said,) = caught
    assert said.startswith("langsmith receives prompts")
    assert canary not in said
    assert langsmith.sent().has(canary)


async def test_allowed_in_a_chain(atoma, make_chat, traced, canary, way):
    model = make_chat(atoma, tracing_policy="allow")
    await in_a_chain(lambda: way(model, canary))
    assert traced.sent().has(canary)


async def test_refused_in_a_chain(
    atoma, make_chat, langsmith, monkeypatch, canary, way
):
    model = make_chat(atoma, tracing_policy="refuse")
    langsmith.switch_on(monkeypatch)
    with pytest.raises(PlaintextEgressError):
        await in_a_chain(lambda: way(model, canary))
    assert not langsmith.sent().has(canary)
    assert langsmith.kinds == {"chain"}  # the chain's own, with our error
    assert "PlaintextEgressError" in langsmith.errors[0]
    assert atoma.exchanges == []


async def test_suppressed_in_a_chain(atoma, make_chat, traced, canary, way):
    model = make_chat(atoma, tracing_policy="suppress")
    # Its answer, which may repeat the canary, is the chain's as well.
    assert await in_a_chain(lambda: answered(way(model, canary)))
    assert not traced.sent().has(canary)
    assert {run["name"] for run in traced.runs if "name" in run} == {"chain"}


async def answered(answer):
    return bool(await answer)


@pytest.mark.parametrize("policy", ["allow", "suppress"])
async def test_suppressed_for_a_tracer_of_the_context(
    atoma, make_chat, langsmith, canary, way, policy
):
    model = make_chat(atoma, tracing_policy=policy)
    with tracing_v2_enabled(client=langsmith.client):
        assert await way(model, canary)
    assert langsmith.sent().has(canary) is (policy == "allow")
    assert bool(langsmith.bodies) is (policy == "allow")


@pytest.mark.parametrize("policy", ["allow", "suppress"])
@pytest.mark.parametrize("asynchronous", [False, True])
async def test_suppressed_for_a_tracer_that_is_given(
    atoma, make_chat, langsmith, canary, policy, asynchronous
):
    model = make_chat(atoma, tracing_policy=policy)
    config = {"callbacks": [LangChainTracer(client=langsmith.client)]}
    if asynchronous:
        stream = await model.astream_events(canary, config, version="v3")
        assert await stream.output
        assert await model.ainvoke(canary, config)
    else:
        assert model.stream_events(canary, config, version="v3").output
        assert model.invoke(canary, config)
    assert langsmith.sent().has(canary) is (policy == "allow")


def test_suppression_does_not_leak_between_chunks(atoma, make_chat, traced, canary):
    model = make_chat(atoma, tracing_policy="suppress")
    for runnable in (model, model.with_structured_output(Answer)):
        stream = runnable.stream(canary)
        next(stream)
        noted("in between")
        stream.close()
        assert traced.sent().has("in between")
        traced.bodies.clear()
    assert not traced.has(canary)


async def test_nor_between_chunks_of_an_event_loop(atoma, make_chat, traced, canary):
    model = make_chat(atoma, tracing_policy="suppress")
    for runnable in (model, model.with_structured_output(Answer)):
        stream = runnable.astream(canary)
        await anext(stream)
        noted("in between")
        await stream.aclose()
        assert traced.sent().has("in between")
        traced.bodies.clear()
    assert not traced.has(canary)


def test_runs_around_a_suppressed_model_are_traced(atoma, make_chat, traced, canary):
    model = make_chat(atoma, tracing_policy="suppress")
    (RunnableLambda(lambda text: text) | model).invoke(canary)
    assert traced.sent().has(canary)
    assert traced.kinds == {"chain"}


@pytest.mark.parametrize("policy", ["warn", "refuse", "suppress"])
def test_tracing_disabled_by_the_caller_is_no_sink(
    atoma, make_chat, traced, canary, policy
):
    with run_helpers.tracing_context(enabled=False):
        assert make_chat(atoma, tracing_policy=policy).invoke(canary)
    assert traced.sent().bodies == []


def test_what_langsmith_calls_local_leaves(atoma, make_chat, langsmith, canary):
    # LangChain's tracer sends it all the same.
    refusing = make_chat(atoma, tracing_policy="refuse")
    with run_helpers.tracing_context(enabled="local"):
        with pytest.raises(PlaintextEgressError):
            refusing.invoke(canary)
        assert make_chat(atoma, tracing_policy="suppress").invoke(canary)
        assert langsmith.sent().bodies == []
        assert make_chat(atoma, tracing_policy="allow").invoke(canary)
    assert langsmith.sent().has(canary)


def test_a_run_of_langsmith_itself_is_a_sink(atoma, make_chat, langsmith, canary):
    model = make_chat(atoma, tracing_policy="refuse")
    with (
        run_helpers.tracing_context(enabled=True, client=langsmith.client),
        pytest.raises(PlaintextEgressError),
    ):
        model.invoke(canary)
    assert langsmith.sent().bodies == []


def test_warned_of_at_construction(atoma, make_chat, make_embeddings, traced, canary):
    with pytest.warns(PlaintextEgressWarning, match="langsmith receives prompts"):
        model = make_chat(atoma)
    assert model.invoke(canary)  # and not again: warnings are errors here
    assert make_embeddings(atoma).embed_query(canary)
    assert traced.sent().has(canary)


def test_refused_at_construction(atoma, make_chat, make_embeddings, traced):
    for make in (make_chat, make_embeddings):
        with pytest.raises(PlaintextEgressError, match="LANGSMITH_TRACING"):
            make(atoma, tracing_policy="refuse")
    assert traced.sent().bodies == []


def test_the_policy_of_the_environment(atoma, make_chat, traced, monkeypatch):
    monkeypatch.setenv("ATOMA_TRACING_POLICY", "refuse")
    with pytest.raises(PlaintextEgressError):
        make_chat(atoma)
    monkeypatch.setenv("ATOMA_TRACING_POLICY", "whatever")
    with pytest.raises(ValueError, match="tracing_policy"):
        make_chat(atoma)


def test_a_tracer_of_the_run_around_is_a_sink(atoma, make_chat, langsmith, canary):
    model = make_chat(atoma, tracing_policy="refuse")
    chain = RunnableLambda(lambda text: text) | model
    tracer = LangChainTracer(client=langsmith.client)
    with pytest.raises(PlaintextEgressError):
        chain.invoke(canary, {"callbacks": [tracer]})
    assert atoma.exchanges == []


def test_a_tracer_passed_to_the_call_itself_is_consent(
    atoma, make_chat, langsmith, canary
):
    model = make_chat(atoma, tracing_policy="refuse")
    tracer = LangChainTracer(client=langsmith.client)
    model.invoke(canary, {"callbacks": [tracer]})
    assert langsmith.sent().has(canary)


# Embeddings have no runs of their own: only what is around them is traced.

EMBEDS = {
    "query": lambda e, text: asyncio.sleep(0, e.embed_query(text)),
    "documents": lambda e, text: asyncio.sleep(0, e.embed_documents([text, "x"])),
    "aquery": lambda e, text: e.aembed_query(text),
    "adocuments": lambda e, text: e.aembed_documents([text, "x"]),
}


@pytest.fixture(params=EMBEDS)
def embed(request):
    return EMBEDS[request.param]


@pytest.mark.parametrize("policy", ["allow", "suppress"])
async def test_embeddings_in_a_traced_chain(
    atoma, make_embeddings, traced, canary, embed, policy
):
    embeddings = make_embeddings(atoma, tracing_policy=policy)
    vectors = await in_a_chain(lambda: embed(embeddings, canary))
    assert vectors
    assert {run["name"] for run in traced.sent().runs if "name" in run} == {"chain"}
    assert not traced.has(canary)

    # Given to the chain, it would have been seen.
    async def look_up(text):
        return await embed(embeddings, text)

    await RunnableLambda(look_up).ainvoke(canary)
    assert traced.sent().has(canary)


async def test_embeddings_refuse_in_a_traced_chain(
    atoma, make_embeddings, langsmith, monkeypatch, canary, embed
):
    embeddings = make_embeddings(atoma, tracing_policy="refuse")
    langsmith.switch_on(monkeypatch)
    with pytest.raises(PlaintextEgressError):
        await in_a_chain(lambda: embed(embeddings, canary))
    assert "PlaintextEgressError" in langsmith.sent().errors[0]
    assert not langsmith.has(canary)
    assert atoma.exchanges == []


async def test_embeddings_warn_once(
    atoma, make_embeddings, langsmith, monkeypatch, canary, embed
):
    embeddings = make_embeddings(atoma)
    langsmith.switch_on(monkeypatch)
    with egress_warnings() as caught:
        for _ in range(2):
            assert await embed(embeddings, canary)
    assert len(caught) == 1


# With inputs and outputs hidden, errors still leave: they hold no content.


@pytest.fixture
def hidden(traced, monkeypatch):
    """LangSmith, switched on, with inputs and outputs hidden."""
    for name in ("LANGSMITH_HIDE_INPUTS", "LANGSMITH_HIDE_OUTPUTS"):
        monkeypatch.setenv(name, "true")
    get_env_var.cache_clear()
    with contextlib.closing(Client(api_url=traced.url, api_key="key")) as client:
        traced.client.close()
        traced.client = client
        monkeypatch.setattr(run_trees, "_CLIENT", client)
        yield traced


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
