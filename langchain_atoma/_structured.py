"""`with_structured_output`, by a schema, a forced tool call or JSON mode."""

from __future__ import annotations

import json
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast

from langchain_core.messages import AIMessage, SystemMessage
from langchain_core.output_parsers import (
    BaseCumulativeTransformOutputParser,
    BaseOutputParser,
    JsonOutputParser,
    PydanticOutputParser,
)
from langchain_core.output_parsers.openai_tools import (
    JsonOutputKeyToolsParser,
    PydanticToolsParser,
)
from langchain_core.outputs import ChatGeneration, Generation
from langchain_core.runnables import (
    RunnableGenerator,
    RunnableLambda,
    RunnableMap,
    RunnablePassthrough,
)
from langchain_core.utils.pydantic import is_basemodel_subclass
from pydantic import SkipValidation

from atoma_confidential.answers import check_output
from atoma_confidential.errors import Exposure, UnparsableAnswerError

from ._errors import as_model_error, invalid_input, model_errors
from ._sequence import GuardedSequence
from ._tools import json_schema_format, tools_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping

    from langchain_core.language_models import BaseChatModel, LanguageModelInput
    from langchain_core.messages import BaseMessage
    from langchain_core.runnables import Runnable

    from ._suppress import SuppressibleRuns

__all__ = ["Method", "structured"]

Method: TypeAlias = Literal["json_schema", "function_calling", "json_mode"]


def structured(
    model: SuppressibleRuns,
    schema: Mapping[str, Any] | type | None,
    *,
    method: Method,
    include_raw: bool,
    strict: bool | None,
    bound: Mapping[str, Any],
) -> Runnable[LanguageModelInput, Any]:
    """Return the model, followed by a parser for its answers.

    Raises:
        InvalidInputError: Schema, method and `strict` do not go together.
    """
    if schema is None and method != "json_mode":
        raise invalid_input(f"method={method!r} needs a schema.")
    if strict is not None and method == "json_mode":
        raise invalid_input("strict needs a schema; JSON mode sends none.")
    asked, parser = _asked(model, schema, method, strict, bound)
    parse: Runnable[Any, Any] = _whole_answers | parser
    if not include_raw:
        return GuardedSequence.of(model, asked, parse)
    parsed = RunnablePassthrough.assign(
        parsed=itemgetter("raw") | parse, parsing_error=lambda _: None
    )
    failed = RunnablePassthrough.assign(parsed=lambda _: None)
    return GuardedSequence.of(
        model,
        RunnableMap(raw=asked),
        parsed.with_fallbacks([failed], exception_key="parsing_error"),
    )


def _asked(
    model: BaseChatModel,
    schema: Any,
    method: Method,
    strict: bool | None,
    bound: Mapping[str, Any],
) -> tuple[Runnable[LanguageModelInput, AIMessage], BaseOutputParser[Any]]:
    """Return the model bound to ask in some way, and the parser for that way."""
    settings = {"method": method} | ({} if strict is None else {"strict": strict})
    if schema is not None:
        traced = {"kwargs": settings, "schema": schema}
        bound = {**bound, "ls_structured_output_format": traced}
    match method:
        case "function_calling":
            return _calling(model, schema, strict, bound)
        case "json_schema":
            wanted = json_schema_format(schema, strict=strict)
        case "json_mode":
            wanted = {"type": "json_object"}
        case _:
            raise invalid_input(
                "method is 'json_schema', 'function_calling' or 'json_mode'."
            )
    answering: Runnable[Any, AIMessage] = model.bind(response_format=wanted, **bound)
    if method == "json_mode" and schema is not None:
        answering = _telling(model, schema) | answering
    name = "JSON"
    if schema is not None:
        name = json_schema_format(schema)["json_schema"]["name"]
    return answering, _DiscreetParser(parser=_answer_parser(schema), wanted=name)


def _calling(
    model: BaseChatModel,
    schema: Any,
    strict: bool | None,
    bound: Mapping[str, Any],
) -> tuple[Runnable[LanguageModelInput, AIMessage], BaseOutputParser[Any]]:
    (tool,) = tools_of([schema], strict=strict)
    if "function" not in tool:
        raise invalid_input("A tool of the server's own is no schema.")
    name = tool["function"]["name"]
    # By name: more engines honour that than "required".
    options = {"tool_choice": name, "parallel_tool_calls": False, **bound}
    parser = _DiscreetParser(parser=_call_parser(schema, name), wanted=name)
    return model.bind_tools([tool], **options), parser


def _telling(
    model: BaseChatModel, schema: Any
) -> Runnable[LanguageModelInput, list[BaseMessage]]:
    """Put the schema into words: in JSON mode an engine asks for any JSON."""
    json_schema = json_schema_format(schema)["json_schema"]["schema"]
    words = (
        "Answer with one JSON object that conforms to this JSON schema, and with "
        f"nothing else:\n{json.dumps(json_schema, ensure_ascii=False)}"
    )

    def tell(asked: LanguageModelInput) -> list[BaseMessage]:
        match model._convert_input(asked).to_messages():  # noqa: SLF001 - as core does
            case [SystemMessage(content=str(system)) as first, *rest]:
                # Many chat templates take one system message, and only at the start.
                both = {"content": f"{system}\n\n{words}"}
                return [first.model_copy(update=both), *rest]
            case messages:
                return [SystemMessage(words), *messages]

    return RunnableLambda(tell, name="schema_in_words")


def _call_parser(schema: Any, name: str) -> BaseOutputParser[Any]:
    if _is_pydantic(schema):
        return PydanticToolsParser(tools=[schema], first_tool_only=True)
    return JsonOutputKeyToolsParser(key_name=name, first_tool_only=True)


def _answer_parser(schema: Any) -> BaseOutputParser[Any]:
    if _is_pydantic(schema):
        return PydanticOutputParser(pydantic_object=schema)
    return JsonOutputParser()


def _is_pydantic(schema: Any) -> bool:
    return isinstance(schema, type) and is_basemodel_subclass(schema)


class _DiscreetParser(BaseCumulativeTransformOutputParser[Any]):
    """A parser of core's, without its errors: those quote the answer."""

    parser: SkipValidation[BaseOutputParser[Any]]
    wanted: str

    @property
    def OutputType(self) -> Any:  # noqa: N802 - core's name
        """Return what the parser itself returns."""
        return self.parser.OutputType

    def parse(self, text: str) -> Any:
        """Return what an answer of this text is parsed to."""
        return self.parse_result([ChatGeneration(message=AIMessage(text))])

    def parse_result(self, result: list[Generation], *, partial: bool = False) -> Any:
        """Return what an answer is parsed to.

        Raises:
            UnparsableAnswerError: It does not fit.
        """
        try:
            return self.parser.parse_result(result, partial=partial)
        except ValueError:  # core's own and pydantic's are both of this kind
            message = cast("ChatGeneration", result[0]).message
        if partial and "atoma" not in message.response_metadata:
            return None  # only the last chunk says what had left the process
        why = f"The answer does not fit the schema {self.wanted}."
        raise as_model_error(UnparsableAnswerError(why, _exposure(message)))


def _checked(message: AIMessage) -> AIMessage:
    """Pass a message on, unless a parser would make something else of it.

    Core's JSON parser completes an answer that was cut off.
    """
    ended = message.response_metadata.get("finish_reason")
    refusal = message.additional_kwargs.get("refusal")
    with model_errors():
        check_output(ended, refusal, _exposure(message))
    return message


def _exposure(message: BaseMessage) -> Exposure:
    return Exposure.of_answer(message.response_metadata.get("atoma"))


def _check(messages: Iterator[AIMessage]) -> Iterator[AIMessage]:
    for message in messages:
        yield _checked(message)


async def _acheck(messages: AsyncIterator[AIMessage]) -> AsyncIterator[AIMessage]:
    async for message in messages:
        yield _checked(message)


_whole_answers: Runnable[AIMessage, AIMessage] = RunnableGenerator(_check, _acheck)
