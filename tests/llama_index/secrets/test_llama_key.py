"""The key is in nothing that a model shows, nor in what hears of it."""

import asyncio
import json
import logging
import pickle

import pytest
from llama_index.core.callbacks import CallbackManager
from llama_used import ASKED, ause, use
from shown import KEY

from llama_index_atoma import AtomaChatModel, AtomaEmbeddings, errors

CHAT = "meta-llama/Llama-3.3-70B-Instruct"


class Shown:
    """Everything that something shows of itself."""

    def __init__(self):
        self.parts = []

    def add(self, *values):
        self.parts += [f"{value}{value!r}" for value in values]

    def __contains__(self, text):
        return any(text in part for part in self.parts)


@pytest.mark.parametrize("given", ["argument", "environment"])
def test_the_key_is_shown_nowhere(
    make_atoma, monkeypatch, caplog, capfd, events, spans, legacy, given
):
    caplog.set_level(logging.DEBUG)
    atoma = make_atoma(tokens={KEY})
    fields = {"base_url": atoma.base_url, "tracing_policy": "allow"}
    if given == "argument":
        fields["api_key"] = KEY
    else:
        monkeypatch.setenv("ATOMA_API_KEY", KEY)
    chat = AtomaChatModel(model=CHAT, **fields)
    embeddings = AtomaEmbeddings(model_name="e", **fields)
    shown = Shown()
    for model in (chat, embeddings):
        model.callback_manager = CallbackManager([legacy])
        use(model)
        asyncio.run(ause(model))
        shown.add(
            model,
            model.to_dict(),
            model.to_json(),
            model.dict(),
            model.model_dump(),
            model.model_dump_json(),
            model.to_payload(),
            model.json(),
            pickle.dumps(model),
            model.__getstate__(),
        )
        json.dumps(model.to_dict())
    list(chat.stream_chat(ASKED))
    for fault in ("post-401", "post-500-node", "reply-not-json", "lock-503"):
        atoma.faults.once(*[fault] * 8)
        for model in (chat, embeddings):
            with pytest.raises(errors.ConfidentialError) as caught:
                use(model.model_copy(update={"max_retries": 0}))
            shown.add(caught.value, vars(caught.value), pickle.dumps(caught.value))
            for chained in (caught.value.__cause__, caught.value.__context__):
                shown.add(chained, vars(chained) if chained else None)
        atoma.faults.clear()
    shown.add(*(event.model_dump() for event in events.events if hasattr(event, "id_")))
    shown.add(*events.events, *spans.told, *legacy.starts, *legacy.ends)
    shown.add(caplog.text, *capfd.readouterr())
    assert len(events.events) > 20
    assert len(spans.told) > 20
    assert KEY not in shown
    assert KEY in repr(atoma.exchanges), "it was really in use"


def test_the_canary_test_can_fail():
    shown = Shown()
    shown.add({"api_key": KEY})
    assert KEY in shown
