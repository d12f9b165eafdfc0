"""Tools on the wire, their choice, and calls to them."""

import asyncio

import pytest
from adding import add
from llama_index.core.base.llms.types import ChatMessage, ChatResponse, ToolCallBlock
from llama_index.core.tools import FunctionTool
from pydantic import BaseModel

from llama_index_atoma import errors


def multiply(a: int, b: int) -> int:
    """Multiply two numbers."""
    return a * b


ADD = FunctionTool.from_defaults(add)
MULTIPLY = FunctionTool.from_defaults(multiply)


def named(name):
    return FunctionTool.from_defaults(add, name=name)


@pytest.fixture
def prepare(scripted_chat):
    def run(tools=(ADD, MULTIPLY), **kwargs):
        return scripted_chat._prepare_chat_with_tools(list(tools), **kwargs)

    return run


def test_tools_as_the_wire_has_them(prepare):
    first, _second = prepare()["tools"]
    assert first["type"] == "function"
    assert first["function"]["name"] == "add"
    assert first["function"]["parameters"]["required"] == ["a", "b"]
    assert "strict" not in first["function"]
    assert "additionalProperties" not in first["function"]["parameters"]


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({}, "auto"),
        ({"tool_required": True}, "required"),
        ({"tool_choice": "none", "tool_required": True}, "none"),
        ({"tool_choice": "auto"}, "auto"),
        ({"tool_choice": "required"}, "required"),
        ({"tool_choice": "add"}, {"type": "function", "function": {"name": "add"}}),
        ({"tool_choice": {"type": "function"}}, {"type": "function"}),
    ],
)
def test_tool_choice(prepare, given, sent):
    assert prepare(**given)["tool_choice"] == sent


def test_a_tool_that_is_not_there_cannot_be_forced(prepare):
    with pytest.raises(errors.InvalidInputError, match="tool_choice"):
        prepare(tool_choice="divide")


def test_without_tools_nothing_is_said_of_tools(prepare, scripted_chat, engine):
    prepared = prepare(tools=(), tool_required=True, tool_choice="required")
    assert not prepared.keys() & {"tools", "tool_choice", "parallel_tool_calls"}
    scripted_chat.chat(
        [ChatMessage(content="Q")], tools=[], tool_choice="auto", parallel_tool_calls=1
    )
    assert not engine.asked[-1].keys() & {
        "tools",
        "tool_choice",
        "parallel_tool_calls",
    }


@pytest.mark.parametrize("allowed", [True, False])
def test_whether_calls_may_be_parallel_is_sent(prepare, allowed):
    prepared = prepare(allow_parallel_tool_calls=allowed)
    assert prepared["parallel_tool_calls"] is allowed


def test_the_history_is_copied_and_other_parameters_kept(prepare):
    history = [ChatMessage(role="system", content="S")]
    prepared = prepare(user_msg="Q", chat_history=history, temperature=0.1)
    assert [m.content for m in prepared["messages"]] == ["S", "Q"]
    assert len(history) == 1
    assert prepared["temperature"] == 0.1
    message = ChatMessage(role="user", content="M")
    assert prepare(user_msg=message)["messages"] == [message]


class Inner(BaseModel):
    x: int = 1


class Outer(BaseModel):
    inner: Inner
    table: dict[str, int] = {}
    default: str | None = None
    rows: list[Inner] = []
    either: Inner | int = 1


def test_strict_closes_objects_and_requires_everything(prepare):
    def store(inner: Inner, table: dict[str, int], note: str | None = None) -> str:
        """Store."""

    tool = FunctionTool.from_defaults(store, fn_schema=Outer)
    (wired,) = prepare([tool], strict=True)["tools"]
    assert wired["function"]["strict"] is True
    parameters = wired["function"]["parameters"]
    assert parameters["additionalProperties"] is False
    assert parameters["required"] == ["inner", "table", "default", "rows", "either"]
    assert "default" in parameters["properties"], "a property may be called so"
    inner = parameters["$defs"]["Inner"]
    assert inner["required"] == ["x"]
    assert inner["additionalProperties"] is False
    assert "default" not in inner["properties"]["x"]
    # A dict's keys are not known: closing it would leave it empty.
    assert parameters["properties"]["table"]["additionalProperties"] == {
        "type": "integer"
    }


def test_strict_may_be_the_models(scripted_chat):
    model = scripted_chat.model_copy(update={"strict": True})
    (wired,) = model._prepare_chat_with_tools([ADD])["tools"]
    assert wired["function"]["strict"] is True
    (wired,) = model._prepare_chat_with_tools([ADD], strict=False)["tools"]
    assert wired["function"]["strict"] is False


def test_a_name_that_engines_refuse_is_mapped_there_and_back(scripted_chat, engine):
    engine.message = {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {"id": "c", "function": {"name": "get_sum", "arguments": '{"a": 1}'}}
        ],
    }
    response = scripted_chat.chat_with_tools([named("get sum")], user_msg="Q")
    assert engine.asked[-1]["tools"][0]["function"]["name"] == "get_sum"
    (selection,) = scripted_chat.get_tool_calls_from_response(response)
    assert selection.tool_name == "get sum"
    scripted_chat.chat(
        [
            ChatMessage(content="Q"),
            response.message,
            ChatMessage(
                role="tool", content="3", additional_kwargs={"tool_call_id": "c"}
            ),
        ]
    )
    (again,) = engine.asked[-1]["messages"][1]["tool_calls"]
    assert again["function"]["name"] == "get_sum"


def test_two_names_that_become_one_are_refused(prepare):
    with pytest.raises(errors.InvalidInputError, match="get_sum"):
        prepare([named("get sum"), named("get.sum")])


def test_a_tool_whose_schema_is_no_json_is_told_by_name(prepare):
    tool = FunctionTool.from_defaults(add, name="odd")
    tool.metadata.get_parameters_dict = lambda: {"properties": {"x": {1, 2}}}
    with pytest.raises(errors.InvalidInputError, match="'odd'"):
        prepare([tool])


def test_a_tool_without_a_name_is_told_by_its_place(prepare):
    tool = FunctionTool.from_defaults(add)
    tool.metadata.name = ""
    with pytest.raises(errors.InvalidInputError, match=r"tools\[1\]"):
        prepare([ADD, tool])


def two_calls():
    return {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {"id": f"c{n}", "function": {"name": "add", "arguments": f'{{"a": {n}}}'}}
            for n in range(2)
        ],
    }


def kept(response):
    blocks = [b for b in response.message.blocks if isinstance(b, ToolCallBlock)]
    return len(blocks), len(response.message.additional_kwargs["tool_calls"])


@pytest.mark.parametrize(("allowed", "count"), [(True, (2, 2)), (False, (1, 1))])
def test_only_one_call_where_several_are_not_allowed(
    scripted_chat, engine, allowed, count
):
    engine.message = two_calls()
    ask = {"user_msg": "Q", "allow_parallel_tool_calls": allowed}
    assert kept(scripted_chat.chat_with_tools([ADD], **ask)) == count
    response = asyncio.run(scripted_chat.achat_with_tools([ADD], **ask))
    assert kept(response) == count


def test_equal_calls_are_two(scripted_chat):
    block = {"tool_name": "f", "tool_kwargs": {}}
    message = ChatMessage(
        role="assistant", blocks=[ToolCallBlock(**block), ToolCallBlock(**block)]
    )
    validated = scripted_chat._validate_chat_with_tools_response(
        ChatResponse(message=message), []
    )
    assert len(validated.message.blocks) == 1


@pytest.mark.parametrize(
    ("arguments", "parsed"),
    [
        ({"a": 1}, {"a": 1}),
        ('{"a": 1}', {"a": 1}),
        ("null", {}),
        ("[1]", {}),
        ("{nonsense}", {}),
        ("", {}),
    ],
)
def test_selections(scripted_chat, arguments, parsed):
    block = ToolCallBlock(tool_call_id="c", tool_name="f", tool_kwargs=arguments)
    response = ChatResponse(message=ChatMessage(role="assistant", blocks=[block]))
    (selection,) = scripted_chat.get_tool_calls_from_response(response, unknown=1)
    assert (selection.tool_id, selection.tool_name) == ("c", "f")
    assert selection.tool_kwargs == parsed


def test_selections_from_the_older_place(scripted_chat):
    call = {"id": "c", "function": {"name": "f", "arguments": '{"a": 1}'}}
    message = ChatMessage(role="assistant", additional_kwargs={"tool_calls": [call]})
    (selection,) = scripted_chat.get_tool_calls_from_response(
        ChatResponse(message=message)
    )
    assert (selection.tool_name, selection.tool_kwargs) == ("f", {"a": 1})


def test_no_call(scripted_chat):
    response = scripted_chat.chat([ChatMessage(content="Q")])
    with pytest.raises(ValueError, match="at least one tool call"):
        scripted_chat.get_tool_calls_from_response(response)
    assert (
        scripted_chat.get_tool_calls_from_response(
            response, error_on_no_tool_call=False
        )
        == []
    )


def test_predict_and_call(chat, canary, no_plaintext):
    no_plaintext("Add two numbers")
    before = [ChatMessage(role="system", content=canary)]
    asked = {"user_msg": "add 17 and 25", "chat_history": before}
    answer = chat.predict_and_call([ADD], **asked)
    assert str(answer) == "42"
    answer = asyncio.run(chat.apredict_and_call([ADD], user_msg="add 17 and 25"))
    assert str(answer) == "42"


def test_predict_and_call_in_parallel(chat):
    answer = chat.predict_and_call(
        [ADD, MULTIPLY],
        user_msg="Add 17 and 25, and multiply 6 and 7 as well.",
        allow_parallel_tool_calls=True,
    )
    assert len(answer.sources) == 2


def test_a_tools_own_error(chat):
    def divide(a: int, b: int) -> float:
        """Divide two numbers."""
        return a / b

    tool = FunctionTool.from_defaults(divide)
    asked = "divide 1 by 0"
    answer = chat.predict_and_call([tool], user_msg=asked)
    assert answer.sources[0].is_error
    with pytest.raises(ValueError, match="division"):
        chat.predict_and_call([tool], user_msg=asked, error_on_tool_error=True)


def test_streams_with_tools(chat):
    asked = {"user_msg": "add 17 and 25"}
    *_, last = chat.stream_chat_with_tools([ADD], **asked)
    (selection,) = chat.get_tool_calls_from_response(last)
    assert selection.tool_kwargs == {"a": 17, "b": 25}

    async def run():
        items = await chat.astream_chat_with_tools([ADD], **asked)
        return [item async for item in items][-1]

    (selection,) = chat.get_tool_calls_from_response(asyncio.run(run()))
    assert selection.tool_kwargs == {"a": 17, "b": 25}
