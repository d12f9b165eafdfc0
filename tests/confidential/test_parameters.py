"""What frameworks' models ask of an engine, sorted; and what does not fit, told."""

import pytest

from atoma_confidential import ChatParameters, EmbeddingParameters, InvalidInputError
from atoma_confidential.parameters import (
    check_model,
    chosen,
    json_schema_format,
    merged,
    misfit,
    tool_choice_of,
)


@pytest.mark.parametrize("model", ["", " \n", None, 7])
def test_what_names_no_model_is_refused(model):
    with pytest.raises(InvalidInputError, match="model is empty"):
        check_model(model)
    check_model("m")


def test_the_fields_that_are_sent_as_they_are():
    fields = {"temperature": 0.0, "n": None, "stop": [], "timeout": 5, "model": "m"}
    assert chosen(fields, ChatParameters) == {"temperature": 0.0, "stop": []}
    fields = {"model": "m", "user": None, "blind_replies": False, "timeout": 5}
    assert chosen(fields, EmbeddingParameters) == {"model": "m", "blind_replies": False}


@pytest.mark.parametrize("adopt", [True, False])
def test_what_is_given_to_a_call_wins(adopt):
    given = {"model": "n", "seed": 1, "extra_body": {"top_k": 2}}
    call = merged(
        given, model="m", extra_body={"top_k": 1, "min_p": 0}, adopt_unknown=adopt
    )
    assert call == {
        "model": "n",
        "seed": 1,
        "extra_body": {"top_k": 2, "min_p": 0},
    }
    assert given["extra_body"] == {"top_k": 2}, "it is not changed"


def test_what_the_api_does_not_know_is_the_engines_or_stays():
    given = {"model": None, "extra_body": None, "seed": 1, "top_k": 2}
    adopted = merged(given, model="m", extra_body={}, adopt_unknown=True)
    assert adopted == {"model": "m", "seed": 1, "extra_body": {"top_k": 2}}
    left = merged(given, model="m", extra_body={}, adopt_unknown=False)
    assert left == {"model": "m", "seed": 1, "top_k": 2, "extra_body": {}}


def found(kind, *loc, msg="Input should be a number"):
    return {"type": kind, "loc": loc, "msg": msg, "input": "hunter2"}


@pytest.mark.parametrize(
    ("one", "told"),
    [
        (found("float_type", "seed"), "seed: Input should be a number"),
        (found("float_type", "logit_bias", "hunter2"), "logit_bias: Input should"),
        (found("missing", msg="Field required"), "fields: Field required"),
        (found("value_error", "model", msg="hunter2"), "model: not accepted"),
        (found("assertion_error", "model", msg="hunter2"), "model: not accepted"),
        (found("union_tag_invalid", "stop", msg="hunter2"), "stop: not accepted"),
    ],
)
def test_fields_that_do_not_fit_are_told_without_their_values(one, told):
    message = misfit("Model", [one, found("missing", 0, msg="Field required")])
    assert message.startswith(f"Fields of Model do not fit: {told}")
    assert message.endswith("; 0: Field required.")
    assert "hunter2" not in message


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        ("auto", "auto"),
        ("none", "none"),
        ("required", "required"),
        ("any", "required"),
        (True, "required"),
        ("get", {"type": "function", "function": {"name": "get"}}),
        ({"type": "function"}, {"type": "function"}),
    ],
)
def test_which_tool_must_be_called(choice, said):
    assert tool_choice_of(choice, {"get"}) == said


def test_a_tool_that_is_not_there_cannot_be_forced():
    with pytest.raises(InvalidInputError, match="not among the tools") as caught:
        tool_choice_of("hunter2", {"get"})
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("strict", [True, False, None])
def test_a_schema_as_a_response_format(strict):
    wanted = json_schema_format("Page[ä]", {"type": "object"}, strict=strict, x=1)
    said = {} if strict is None else {"strict": strict}
    body = {"name": "Page___", "schema": {"type": "object"}, "x": 1, **said}
    assert wanted == {"type": "json_schema", "json_schema": body}
    long = json_schema_format("n" * 65, {}, strict=None)["json_schema"]["name"]
    assert long == "n" * 64
