"""Which tools the built-in model calls, and with what."""

import pytest
from built_in import INTEGER, NUMBER, STRING, an_object, ask, calls, tool

WEATHER = tool("get_weather", "Get the weather for a location.", location=STRING)
CLOCK = tool("get_time", "Tell the time in a city.", city=STRING)


@pytest.mark.parametrize(
    ("text", "tools", "expected"),
    [
        ("What is the weather in Bern?", [WEATHER], [{"location": "Bern"}]),
        ("weather in san remo today?", [WEATHER], [{"location": "san remo today"}]),
        (
            "What is the weather in San Francisco, CA?",
            [WEATHER],
            [{"location": "San Francisco, CA"}],
        ),
        (
            "What is the weather in Paris and in Tokyo?",
            [WEATHER],
            [{"location": "Paris"}, {"location": "Tokyo"}],
        ),
        (
            "What is the weather in Paris and what time is it in Tokyo?",
            [WEATHER, CLOCK],
            [{"location": "Paris"}, {"city": "Tokyo"}],
        ),
        ("Hello!", [WEATHER, CLOCK], []),
        ("Who wrote Faust?", [WEATHER, CLOCK], []),
        (
            "What is 17 * 23?",
            [
                tool("multiply", "Multiply two numbers.", a=INTEGER, b=INTEGER),
                tool("add", "Add two numbers.", a=INTEGER, b=INTEGER),
            ],
            [{"a": 17, "b": 23}],
        ),
        (
            "Call double(input=-4) please",
            [tool("double", "", input=INTEGER)],
            [{"input": -4}],
        ),
        (
            "Book a table for 4 at Chez Nous on 2026-12-24 at 19:30, no smoking",
            [
                tool(
                    "book_table",
                    "Book a table.",
                    guests=INTEGER,
                    restaurant=STRING,
                    date=STRING,
                    time=STRING,
                    smoking={"type": "boolean"},
                )
            ],
            [
                {
                    "guests": 4,
                    "restaurant": "Chez Nous",
                    "date": "2026-12-24",
                    "time": "19:30",
                    "smoking": False,
                }
            ],
        ),
        (
            "Add a customer named '你好啊集团' - a company in Bern",
            [tool("add_customer", "", customer_name=STRING, description=STRING)],
            [{"customer_name": "你好啊集团", "description": "a company in Bern"}],
        ),
        (
            "Turn on the lights in the kitchen",
            [
                tool(
                    "set_lights",
                    "Switch lights.",
                    room=STRING,
                    state={"type": "string", "enum": ["on", "off"]},
                )
            ],
            [{"room": "kitchen", "state": "on"}],
        ),
        (
            "Tag this with red, green and blue",
            [tool("tag", "", tags={"type": "array", "items": STRING})],
            [{"tags": ["red", "green", "blue"]}],
        ),
        (
            "Plan a trip from Berlin to Rome for 2 adults",
            [
                tool(
                    "plan_trip",
                    "",
                    trip=an_object(origin=STRING, destination=STRING, adults=INTEGER),
                )
            ],
            [{"trip": {"origin": "Berlin", "destination": "Rome", "adults": 2}}],
        ),
        (
            "Convert 100.5 USD to EUR",
            [tool("convert", amount=NUMBER, from_currency=STRING, to_currency=STRING)],
            [{"amount": 100.5, "from_currency": "USD", "to_currency": "EUR"}],
        ),
        ("Search for nonce reuse", [tool("search", "", query=STRING, limit_=INTEGER)],
         [{"query": "nonce reuse"}]),
        ("What is the secret?", [tool("read_secret", "Read the secret.")], [{}]),
    ],
)  # fmt: skip
def test_calls_a_tool_that_fits_with_what_the_prompt_says(text, tools, expected):
    assert [arguments for _, arguments in calls(text, *tools)] == expected


def test_calls_one_tool_where_parallel_calls_are_off():
    text = "What is the weather in Paris and what time is it in Tokyo?"
    assert len(calls(text, WEATHER, CLOCK, parallel_tool_calls=False)) == 1


@pytest.mark.parametrize("choice", ["required", {"function": {"name": "get_time"}}])
def test_obeys_tool_choice(choice):
    if isinstance(choice, dict):
        choice = {"type": "function", **choice}
    [(name, arguments)] = calls("Hello!", WEATHER, CLOCK, tool_choice=choice)

    assert (name == "get_time") == isinstance(choice, dict)
    assert all(isinstance(value, str) and value for value in arguments.values())


def test_none_forbids_calls():
    assert calls("What is the weather in Bern?", WEATHER, tool_choice="none") == []


def test_a_demanded_call_moves_on_to_the_next_tool():
    call = {"name": "get_weather", "arguments": "{}"}
    messages = [
        {"role": "user", "content": "What is the weather in Bern?"},
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [{"id": "1", "type": "function", "function": call}],
        },
        {"role": "tool", "tool_call_id": "1", "content": "The sky is grey."},
    ]
    report = tool("Report", "The final report.", answer=STRING)

    made = calls(messages, WEATHER, report, tool_choice="required")

    assert made == [("Report", {"answer": "The sky is grey."})]


def test_whoever_takes_over_calls_tools_of_its_own():
    """A tool that is not offered was called by another agent, which handed over."""
    call = {"name": "handoff", "arguments": '{"to": "forecaster"}'}
    messages = [
        {"role": "user", "content": "What is the weather in Bern?"},
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [{"id": "1", "type": "function", "function": call}],
        },
        {"role": "tool", "tool_call_id": "1", "content": "The forecaster goes on."},
    ]
    handoff = tool("handoff", "Hand off to another agent.", to=STRING)

    assert calls(messages, WEATHER) == [("get_weather", {"location": "Bern"})]
    assert calls(messages, WEATHER, handoff) == []


def test_calls_have_ids_and_no_text():
    choice = ask("What is the weather in Bern?", tools=[WEATHER])["choices"][0]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["content"] is None
    assert choice["message"]["tool_calls"][0]["id"].startswith("call_")
