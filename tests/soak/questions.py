"""What is asked, and the right answers, which no Atoma was asked for.

The built-in engine is deterministic: called in this process, without a network, it
says what an answer over the network must be.
"""

import base64
import struct
from dataclasses import dataclass
from typing import Any

from atoma_local import BuiltInBackend, _text, embedder

CHAT = "meta-llama/Llama-3.3-70B-Instruct"
EMBEDDINGS = "intfloat/multilingual-e5-large-instruct"
KINDS = ("embed", "chat", "stream", "agent")

_THINGS = ("harbour", "orchard", "archive", "viaduct", "foundry", "observatory")
_TOWNS = ("Lindau", "Evora", "Tromso", "Ragusa", "Galway", "Uppsala", "Trieste")
_ENGINE = BuiltInBackend()


@dataclass(frozen=True, slots=True)
class Question:
    """One call.

    Attributes:
        kind: One of `KINDS`.
        ask: Texts to embed, messages of a chat, or what an agent is told.
        right: The vectors, the text, or what the text must hold.
        secrets: What nobody on the way may read.
    """

    kind: str
    ask: Any
    right: Any
    secrets: tuple[str, ...]


def question(kind, rng, name):
    """Make a question that nobody else asks.

    Args:
        kind: One of `KINDS`.
        rng: Decides about it.
        name: In each text, so that an answer to another question is a wrong one.
    """
    return {"embed": _embed, "agent": _agent}.get(kind, _chat)(kind, rng, name)


def _embed(kind, rng, name):
    texts = [
        f"{name}-{number}: the {rng.choice(_THINGS)} of {rng.choice(_TOWNS)} has "
        f"{rng.randrange(10**6)} stones."
        for number in range(rng.randint(1, 40))
    ]
    return Question(kind, texts, vectors_of(texts), (texts[0], texts[-1]))


def vectors_of(texts):
    """Return the vectors that the engine gives, as they are after travelling."""
    body = {"model": EMBEDDINGS, "input": texts, "encoding_format": "base64"}
    return [_unpacked(one["embedding"]) for one in _ENGINE.embed(body)["data"]]


def forget():
    """Empty the engine's caches, which belong into the server's process."""
    embedder._word_features.cache_clear()
    _text.stem.cache_clear()


def _unpacked(text):
    data = base64.b64decode(text)
    return list(struct.unpack(f"<{len(data) // 4}f", data))


def _chat(kind, rng, name):
    places = [(thing, rng.choice(_TOWNS)) for thing in _THINGS]
    passages = [
        f"The keyword of the {thing} in {town} is {name}-{rng.randrange(10**9)}."
        for thing, town in places
    ]
    thing, town = rng.choice(places)
    asked = f"What is the keyword of the {thing} in {town}?"
    context = "Answer from these passages:\n\n" + "\n\n".join(passages)
    messages = [
        {"role": "system", "content": context},
        {"role": "user", "content": asked},
    ]
    answer = _ENGINE.chat({"model": CHAT, "messages": messages})
    right = answer["choices"][0]["message"]["content"]
    if f"{thing} in {town} is {name}-" not in right:
        raise AssertionError("The engine does not know its own passages.")
    return Question(kind, messages, right, (passages[0], asked, right))


def _agent(kind, rng, name):
    a, b = rng.randrange(10**7, 10**8), rng.randrange(10**7, 10**8)
    told = f"For the file {name}: add {a} and {b}."
    return Question(kind, told, str(a + b), (told,))
