"""What embedding emits: events, counted tokens, the limiter, a bar."""

import asyncio

import pytest
from limiter import Limiter
from llama_embeds import text_batch
from llama_index.core.callbacks import CallbackManager, TokenCountingHandler


@pytest.fixture
def model(scripted, make_embeddings):
    return make_embeddings(scripted, query_instruction="")


def test_each_batch_is_one_event(
    scripted, make_embeddings, embed_batch, events, legacy, heard_by
):
    model = make_embeddings(scripted, embed_batch_size=2, tracing_policy="allow")
    embed_batch(heard_by(model), ["a", "bb", "ccc"])
    assert events.names.count("EmbeddingStartEvent") == 2
    assert events.names.count("EmbeddingEndEvent") == 2
    ends = [e for e in events.events if type(e).__name__ == "EmbeddingEndEvent"]
    assert sorted(len(end.chunks) for end in ends) == [1, 2]
    assert len(legacy.of("embedding")) == 2
    assert legacy.balanced


def test_single_texts_are_one_event(model, embed, events, legacy, heard_by):
    model.tracing_policy = "allow"
    embed(heard_by(model), ["a"])
    assert events.names.count("EmbeddingStartEvent") == 1
    (end,) = [e for e in events.events if type(e).__name__ == "EmbeddingEndEvent"]
    validated = type(end)(**vars(end))
    assert end == validated
    assert vars(end).keys() == vars(validated).keys()
    assert len(legacy.of("embedding")) == 1
    assert legacy.balanced


def test_tokens_are_counted_once(model, embed):
    counter = TokenCountingHandler(tokenizer=str.split)
    model.callback_manager = CallbackManager([counter])
    embed(model, ["one two three"])
    assert counter.total_embedding_token_count == 3


@pytest.mark.parametrize("policy", ["allow", "suppress"])
def test_the_rate_limiter_is_taken_once(model, embed, events, policy):
    model.rate_limiter = limiter = Limiter()
    model.tracing_policy = policy
    embed(model, ["a"])
    assert limiter.taken == 1


def test_a_bar_is_shown(model, embed_batch, capfd, monkeypatch):
    def wanted(texts):
        if embed_batch is text_batch:
            return model.get_text_embedding_batch(texts, show_progress=True)
        return asyncio.run(model.aget_text_embedding_batch(texts, show_progress=True))

    model.embed_batch_size = 2
    assert len(wanted(["a", "b", "c"])) == 3
    assert "Generating embeddings" in capfd.readouterr().err
