"""The built-in model answers from its prompt, and from nothing else."""

import json

import pytest
from built_in import PASSAGES, STRING, ask, say, tool

from atoma_local import BuiltInBackend

WEATHER = tool("get_weather", "Get the weather for a location.", location=STRING)


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ("Does the proxy see prompts?", "The proxy does not see prompts. [1]"),
        ("How long does a node key live?", "A node key lives until the node restarts."),
        ("How many units does a lock cost?", "8192 units by default. [2]"),
        ("At how many degrees is rye baked?", "Rye: 230 degrees; 55. [3]"),
        ("What is the time of a request?", "The time of each request. [1]"),
    ],
)
def test_answers_from_the_passage_that_fits(question, said):
    assert said in say(PASSAGES + question)


def test_takes_at_most_three_sentences():
    text = " ".join(f"The meadow number {n} is blue." for n in range(40))
    assert 1 <= say(f"Context:\n{text}\n\nQuestion: What is blue?").count(".") <= 3


@pytest.mark.parametrize("question", ["What is the capital of France?", "Who is Ada?"])
def test_says_when_the_passages_are_silent(question):
    answer = say(PASSAGES + question)
    assert question in answer
    assert "do not say" in answer


def test_uses_the_words_that_were_asked_for():
    told = "If the context does not hold the answer, say 'I do not know'."
    messages = [
        {"role": "system", "content": told},
        {"role": "user", "content": f"{PASSAGES} Who is Ada?"},
    ]
    assert say(messages) == "I do not know"


@pytest.mark.parametrize(
    "prompt",
    [
        (
            "Answer only from the following context:\nAda works in Bern.\n\n"
            "Question: where does Ada work?"
        ),
        "<context>Ada works in Bern.</context>\n\nWhere does Ada work?",
        "Ada works in Bern. Where does Ada work?",
        "Where does Ada work?\n\nContext: Ada works in Bern.",
        [
            {"role": "system", "content": "Be brief.\n\nContext:\nAda works in Bern."},
            {"role": "user", "content": "Where does Ada work?"},
        ],
        [
            {"role": "user", "content": "Ada works in Bern."},
            {"role": "assistant", "content": "Noted."},
            {"role": "user", "content": "Where does Ada work?"},
        ],
        [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "Ada works in Bern."},
                    {"type": "text", "text": "Where does Ada work?"},
                ],
            }
        ],
    ],
)
def test_finds_the_material_however_a_prompt_is_built(prompt):
    assert say(prompt).startswith("Ada works in Bern.")


def test_summarises():
    text = "The mill is old. The mill ground corn for the valley. Bees like honey."
    summary = say(f"Write a concise summary of the following:\n\n{text}")
    assert "The mill ground corn for the valley." in summary


def test_puts_a_question_again_when_asked_to():
    told = "Given a chat history, formulate a standalone question. Do not answer it."
    messages = [
        {"role": "system", "content": told},
        {"role": "user", "content": "Where does Ada work?"},
    ]
    assert say(messages) == "Where does Ada work?"


def test_answers_from_tool_results():
    call = {"name": "get_weather", "arguments": '{"location":"Bern"}'}
    messages = [
        {"role": "user", "content": "What is the weather in Bern?"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "1", "type": "function", "function": call}],
        },
        {"role": "tool", "tool_call_id": "1", "content": '{"sky":"grey","wind":3}'},
    ]
    assert say(messages, tools=[WEATHER]) == "sky: grey; wind: 3."


def test_says_the_same_each_time():
    assert say(PASSAGES + "What is blue?") == say(PASSAGES + "What is blue?")


# -- parameters ----------------------------------------------------------------------


def test_stops_before_a_stop_sequence():
    question = "Ada works in Bern. Where does Ada work?"
    choice = ask(question, stop=["never there", " in "])["choices"][0]
    assert (choice["message"]["content"], choice["finish_reason"]) == (
        "Ada works",
        "stop",
    )


@pytest.mark.parametrize("limit", ["max_tokens", "max_completion_tokens"])
def test_ends_at_the_limit(limit):
    answer = ask("Ada works in Bern. Where does Ada work?", **{limit: 2})

    assert answer["choices"][0]["message"]["content"] == "Ada works"
    assert answer["choices"][0]["finish_reason"] == "length"
    assert answer["usage"]["completion_tokens"] == 2


def test_a_limit_cuts_the_arguments_of_a_call():
    choice = ask("Weather in Bern?", tools=[WEATHER], max_tokens=3)["choices"][0]
    assert choice["finish_reason"] == "length"
    with pytest.raises(json.JSONDecodeError):
        json.loads(choice["message"]["tool_calls"][0]["function"]["arguments"])


def test_makes_as_many_choices_as_asked():
    choices = ask("Hello", n=3)["choices"]
    assert [choice["index"] for choice in choices] == [0, 1, 2]


def test_counts_what_it_says():
    usage = ask(PASSAGES + "Does the proxy see prompts?")["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert usage["prompt_tokens"] > usage["completion_tokens"] > 0


def test_thinks_aloud_when_asked_to():
    told = {"chat_template_kwargs": {"enable_thinking": True}}
    answer = ask("Ada works in Bern. Where does Ada work?", **told)

    assert "ada" in answer["choices"][0]["message"]["reasoning_content"]
    details = answer["usage"]["completion_tokens_details"]
    assert 0 < details["reasoning_tokens"] < answer["usage"]["completion_tokens"]


def test_gives_logprobs():
    choice = ask("Hello", logprobs=True, top_logprobs=1)["choices"][0]
    tokens = choice["logprobs"]["content"]
    assert "".join(t["token"] for t in tokens) == choice["message"]["content"]
    assert all(t["logprob"] <= 0 and t["top_logprobs"] for t in tokens)


def test_echoes_the_model():
    body = {"model": "a/b", "messages": [{"role": "user", "content": "Hello"}]}
    assert BuiltInBackend().chat(body)["model"] == "a/b"


# -- streams -------------------------------------------------------------------------


def joined(**parameters):
    """Add a stream up to a message."""
    messages = [{"role": "user", "content": parameters.pop("text")}]
    body = {"model": "m", "messages": messages, "stream": True, **parameters}
    message = {"content": "", "reasoning_content": "", "tool_calls": {}}
    for chunk in BuiltInBackend().stream_chat(body):
        for choice in chunk["choices"]:
            delta = choice["delta"]
            for key in ("content", "reasoning_content"):
                message[key] += delta.get(key) or ""
            for call in delta.get("tool_calls", ()):
                known = message["tool_calls"].setdefault(call["index"], ["", ""])
                known[0] += call["function"].get("name", "")
                known[1] += call["function"]["arguments"]
    return message


def test_a_stream_adds_up_to_the_answer():
    text = PASSAGES + "How many units does a lock cost?"
    thinking = {"chat_template_kwargs": {"enable_thinking": True}}
    message = joined(text=text, **thinking)

    whole = ask(text, **thinking)["choices"][0]["message"]
    assert message["content"] == whole["content"]
    assert message["reasoning_content"] == whole["reasoning_content"]


def test_calls_stream_in_pieces():
    message = joined(text="What is the weather in Paris and in Tokyo?", tools=[WEATHER])
    assert message["content"] == ""
    assert message["tool_calls"] == {
        0: ["get_weather", '{"location": "Paris"}'],
        1: ["get_weather", '{"location": "Tokyo"}'],
    }


def test_a_call_without_arguments_streams_none():
    message = joined(text="What is the secret?", tools=[tool("read_secret")])
    assert message["tool_calls"] == {0: ["read_secret", ""]}


def test_usage_streams_only_when_asked_for():
    body = {"model": "m", "messages": [{"role": "user", "content": "Hello"}]}
    stream = BuiltInBackend().stream_chat
    asked = {"stream": True, "stream_options": {"include_usage": True}}

    assert all("usage" not in chunk for chunk in stream(body | {"stream": True}))
    *_, last = stream(body | asked)
    assert (last["choices"], last["usage"]["total_tokens"] > 0) == ([], True)
