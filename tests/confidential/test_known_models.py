"""What models' own cards say of them."""

import pytest

from atoma_confidential.known_models import (
    CHAT_MODEL,
    EMBEDDING_MODEL,
    context_window_of,
    query_instruction_of,
)


def test_the_default_models_are_known():
    assert context_window_of(CHAT_MODEL) == 131_072
    # Word for word as the model's card has it.
    assert query_instruction_of(EMBEDDING_MODEL) == (
        "Instruct: Given a web search query, retrieve relevant passages that answer "
        "the query\nQuery: "
    )


@pytest.mark.parametrize(
    "model", ["", "e5-instruct", EMBEDDING_MODEL.upper(), f"{EMBEDDING_MODEL}-2"]
)
def test_nothing_is_guessed_from_a_part_of_a_name(model):
    assert query_instruction_of(model) == ""
    assert context_window_of(model) is None
