"""Instructor with clients of ours: whole, partial and many objects, and its retries."""

from collections.abc import Iterable
from contextlib import closing
from typing import Annotated

import instructor
import pytest
from instructor.core.exceptions import InstructorRetryException
from pydantic import AfterValidator, BaseModel
from scripted import CHAT

from atoma_confidential.openai import async_openai_client, openai_client

QUESTION = "There are 7 bottles in the cellar. How many bottles are there?"
ASK = {"model": CHAT, "messages": [{"role": "user", "content": QUESTION}]}
MODES = [instructor.Mode.TOOLS, instructor.Mode.JSON_SCHEMA]


class Bottles(BaseModel):
    bottles: int


@pytest.fixture
def connection(atoma, no_plaintext):
    no_plaintext(QUESTION)
    return {"api_key": atoma.api_key, "base_url": atoma.base_url}


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.name)
def test_objects_come_sealed(connection, mode):
    with closing(openai_client(**connection)) as client:
        asked = instructor.from_openai(client, mode=mode).chat.completions
        assert asked.create(**ASK, response_model=Bottles).bottles == 7

        *_, last = asked.create_partial(**ASK, response_model=Bottles)
        assert last.bottles == 7


def test_many_objects_come_sealed(connection):
    with closing(openai_client(**connection)) as client:
        asked = instructor.from_openai(client).chat.completions
        found = asked.create(**ASK, response_model=Iterable[Bottles])
        assert [item.bottles for item in found] == [7]


async def test_objects_come_sealed_to_asynchronous_code(connection):
    async with async_openai_client(**connection) as client:
        asked = instructor.from_openai(client).chat.completions
        found = await asked.create(**ASK, response_model=Bottles)
        assert found.bottles == 7

        parts = asked.create_partial(**ASK, response_model=Bottles)
        assert [part.bottles async for part in parts][-1] == 7


def test_an_object_that_is_refused_is_asked_for_again_sealed(connection, atoma):
    seen = []

    def second_time(number):
        seen.append(number)
        if len(seen) < 2:
            raise ValueError("ask again")
        return number

    class Checked(BaseModel):
        bottles: Annotated[int, AfterValidator(second_time)]

    with closing(openai_client(**connection)) as client:
        asked = instructor.from_openai(client).chat.completions
        assert asked.create(**ASK, response_model=Checked, max_retries=1).bottles == 7

    assert len(atoma.opened) == 2
    assert "ask again" in str(atoma.opened[1].body)


def test_a_refusal_of_the_network_keeps_our_words(atoma):
    with closing(openai_client(api_key="wrong", base_url=atoma.base_url)) as client:
        asked = instructor.from_openai(client).chat.completions
        with pytest.raises(InstructorRetryException, match="Left the process: a lock"):
            asked.create(**ASK, response_model=Bottles, max_retries=0)
