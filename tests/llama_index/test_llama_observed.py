"""LlamaIndex's models tell OpenTelemetry of their calls, without content."""

import asyncio

from scripted import CHAT, EMBEDDINGS

TEXTS = [f"canary-heliotrope-5f1d9c, vineyard number {n} of Nordheim" for n in (1, 2)]


def test_models_are_told_of_below_the_callers_span(chat, embeddings, telemetry, canary):
    with telemetry.tracer.start_as_current_span("engine") as engine:
        answer = chat.complete(canary)
        list(chat.stream_complete(canary))
        vectors = embeddings.get_text_embedding_batch(TEXTS)
        asyncio.run(chat.acomplete(canary))

    names = [*[f"chat {CHAT}"] * 2, f"embeddings {EMBEDDINGS}", f"chat {CHAT}"]
    assert [call.name for call in telemetry.calls] == names
    parents = {call.parent.span_id for call in telemetry.calls}
    assert parents == {engine.get_span_context().span_id}
    told = telemetry.calls[0].attributes
    assert told["atoma.node"] == str(answer.additional_kwargs["atoma"]["node"])
    numbers = [text for vector in vectors for text in map(str, vector)]
    assert telemetry.find(*[text for text in numbers if len(text) > 8]) == []
