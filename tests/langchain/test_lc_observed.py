"""LangChain's models tell OpenTelemetry of their calls, without content."""

import asyncio

from scripted import CHAT, EMBEDDINGS

TEXTS = [
    f"canary-heliotrope-5f1d9c, vineyard number {n} of Escherndorf" for n in (1, 2)
]


def test_models_are_told_of_below_the_callers_span(chat, embeddings, telemetry, canary):
    with telemetry.tracer.start_as_current_span("chain") as chain:
        answer = chat.invoke(canary)
        list(chat.stream(canary))
        vectors = embeddings.embed_documents(TEXTS)
        asyncio.run(chat.ainvoke(canary))

    names = [*[f"chat {CHAT}"] * 2, f"embeddings {EMBEDDINGS}", f"chat {CHAT}"]
    assert [call.name for call in telemetry.calls] == names
    parents = {call.parent.span_id for call in telemetry.calls}
    assert parents == {chain.get_span_context().span_id}
    told = telemetry.calls[0].attributes
    assert told["atoma.node"] == str(answer.response_metadata["atoma"]["node"])
    tokens = answer.usage_metadata["output_tokens"]
    assert told["gen_ai.usage.output_tokens"] == tokens
    numbers = [text for vector in vectors for text in map(str, vector)]
    assert telemetry.find(*[text for text in numbers if len(text) > 8]) == []
