"""JSON the built-in model writes: by schema, by key, by example."""

import json

import pytest
from built_in import INTEGER, NUMBER, PASSAGES, STRING, an_object, say


def fill(text, schema, **parameters):
    wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    return json.loads(say(text, response_format=wanted, **parameters))


def test_fills_a_schema_from_a_sentence():
    schema = an_object(
        name=STRING,
        age=INTEGER,
        city=STRING,
        email={"anyOf": [STRING, {"type": "null"}]},
        role={"type": "string", "enum": ["Admin", "Guest"]},
    )
    text = "Ada Lovelace is 36 years old, lives in London and is a guest."

    assert fill(text, schema) == {
        "name": "Ada Lovelace",
        "age": 36,
        "city": "London",
        "email": None,
        "role": "Guest",
    }


def test_fills_a_schema_from_passages():
    schema = an_object(
        answer=STRING, sources={"type": "array", "items": INTEGER}, confidence=NUMBER
    )
    filled = fill(PASSAGES + "Does the proxy see prompts?", schema)

    assert filled["answer"] == "The proxy does not see prompts."
    assert filled["sources"] == [1]
    assert 0.5 < filled["confidence"] <= 1


def test_fills_references_defaults_bounds_and_what_is_unknown():
    schema = {
        "$defs": {"Place": an_object(city=STRING)},
        **an_object(
            place={"$ref": "#/$defs/Place"},
            kind={"const": "trip"},
            days={"type": "integer", "minimum": 2, "maximum": 5},
            currency={"type": "string", "enum": ["EUR", "CHF"], "default": "CHF"},
            guests={"type": "array", "items": STRING, "minItems": 2},
            code={"type": "string", "maxLength": 3},
            flag={"type": "boolean"},
            nothing={"type": ["null"]},
        ),
    }
    filled = fill("Nine (9) days in Bern", schema)

    assert filled["place"] == {"city": "Bern"}
    assert (filled["kind"], filled["days"], filled["currency"]) == ("trip", 5, "CHF")
    assert len(filled["guests"]) == 2
    assert len(filled["code"]) <= 3
    assert (filled["flag"], filled["nothing"]) == (False, None)


def test_json_mode_takes_its_keys_from_the_prompt():
    text = "Tell a joke about cats. Return JSON with 'setup' and 'punchline' keys."
    filled = json.loads(say(text, response_format={"type": "json_object"}))
    assert filled.keys() == {"setup", "punchline"}
    assert "cats" in filled["setup"] + filled["punchline"]


def test_json_mode_without_keys_still_gives_an_object():
    text = "Ada works in Bern. Where does Ada work? Answer in JSON."
    filled = json.loads(say(text, response_format={"type": "json_object"}))
    assert filled == {"answer": "Ada works in Bern."}


def test_a_schema_spelled_out_in_the_prompt_is_filled():
    schema = json.dumps(an_object(name=STRING, age=INTEGER))
    text = f"Answer as a JSON object that conforms to {schema}\n\nAda is 36."
    assert json.loads(say(text))["age"] == 36


@pytest.mark.parametrize(
    "parameter",
    [
        {"guided_json": an_object(age=INTEGER)},
        {"guided_json": json.dumps(an_object(age=INTEGER))},
        {"structured_outputs": {"json": an_object(age=INTEGER)}},
    ],
)
def test_guided_json_is_a_schema_too(parameter):
    assert json.loads(say("Ada is 36.", **parameter)) == {"age": 36}


def test_guided_choice_is_obeyed():
    assert say(
        "Is the sky grey or blue? It is blue.", guided_choice=["red", "blue"]
    ) == ("blue")
