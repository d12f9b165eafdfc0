"""The agent before a local Atoma: what leaves it, and what it does when things break.

`atoma`, `atoma_faults` and `assert_no_plaintext` come with atoma-confidential.
"""

import pytest
from agent import MinutesAgent

from atoma_confidential import Exposure, StreamTruncatedError

MINUTES = [
    "The launch of the balloon is on the fourth of May.",
    "The budget for the kitchen is forty thousand euros.",
]
QUESTION = "What do the minutes say about the launch of the balloon?"

CHAT = "/v1/confidential/chat/"


@pytest.fixture
def agent(atoma):
    return MinutesAgent(MINUTES)


def test_it_searches_and_answers(agent, atoma):
    assert "fourth of May" in "".join(agent.answer(QUESTION))

    asked = [opened.body for opened in atoma.opened if opened.path.startswith(CHAT)]
    assert asked[-1]["messages"][-1]["role"] == "tool"


def test_nobody_on_the_way_reads_anything(agent, assert_no_plaintext):
    answer = "".join(agent.answer(QUESTION))

    assert_no_plaintext(*MINUTES, QUESTION, answer, "search_minutes")


@pytest.mark.parametrize(
    "fault",
    [
        "key-rotated-before-open",  # the node restarted after it was reserved
        "post-425",  # somebody else used the reservation
        "request-cut:100",
        "request-split:1",
    ],
)
def test_it_survives(agent, atoma_faults, assert_no_plaintext, fault):
    before = "".join(agent.answer(QUESTION))
    atoma_faults.once(fault, on=CHAT)

    assert "".join(agent.answer(QUESTION)) == before
    assert_no_plaintext(*MINUTES, QUESTION)


# The first stream toward a node is a fixed and harmless probe of its key.
@pytest.mark.parametrize("fault", ["events-cut:2", "events-ended:2", "event-torn:2"])
def test_a_stream_that_is_cut_is_no_answer(agent, atoma_faults, fault):
    atoma_faults.once(fault, skip=1)

    with pytest.raises(StreamTruncatedError) as caught:
        list(agent.answer(QUESTION))
    assert caught.value.exposure is Exposure.SEALED
    assert QUESTION not in str(caught.value)
