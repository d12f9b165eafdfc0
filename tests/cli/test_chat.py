"""`atoma chat`: turns, memory, commands and what happens when a turn fails."""

import pytest

from atoma_cli._backend import connect
from atoma_cli._chat import converse
from atoma_cli._endpoint import Endpoint, Framework
from atoma_confidential import ConfidentialError

SECRET = "My cat is called Mephistopheles the Third."


@pytest.fixture
def backend(network, framework):
    return connect(Framework(framework), Endpoint())


def roles(body):
    return [message["role"] for message in body["messages"]]


def lines(*texts):
    given = iter(texts)
    return lambda: next(given, None)


def conversation(network):
    """The chat bodies the node opened, without the harmless probe."""
    return [
        body
        for path, body in network.opened
        if path.endswith("/chat/completions") and body.get("max_tokens") != 4
    ]


def test_remembers_the_conversation_and_sends_it_sealed(atoma_command, network):
    done = atoma_command("chat", input=f"{SECRET}\nWhat is my cat called?\n")

    assert done.exit_code == 0, done.stderr
    first, second = conversation(network)
    assert roles(first) == ["user"]
    assert roles(second) == ["user", "assistant", "user"]
    assert second["messages"][0]["content"] == SECRET
    assert network.tap.find([SECRET, "What is my cat called?"]) == []


def test_new_forgets_all_but_the_instructions(atoma_command, network):
    atoma_command("chat", "--system", "Be brief.", input="One fine day\n/new\nTwo\n")

    _, second = conversation(network)
    assert roles(second) == ["system", "user"]
    assert second["messages"][0]["content"] == "Be brief."
    assert second["messages"][1]["content"] == "Two"


def test_commands_are_not_sent(atoma_command, network):
    done = atoma_command("chat", input="/verdict\n/help\n\n   \n/exit\nnever sent\n")

    assert done.exit_code == 0
    assert network.exchanges == []
    assert done.stderr.count("/new starts over") == 2


def test_the_verdict_of_the_last_answer_is_shown_on_request(atoma_command):
    done = atoma_command("chat", input="Good morning to you\n/verdict\n")

    assert "Sealed to node" in done.stderr


def test_input_that_is_not_utf_8_is_no_traceback(atoma_command, network):
    done = atoma_command("chat", input=b"Where is the caf\xe9 of the town?\n")

    assert done.exit_code == 0, done.output
    (asked,) = conversation(network)
    assert asked["messages"][-1]["content"] == "Where is the caf\ufffd of the town?"


def test_a_failed_turn_ends_a_pipe_with_exit_code_1(atoma_command, network):
    network.faults.always("lock-402")

    done = atoma_command("chat", input="a\nb\n")

    assert done.exit_code == 1
    assert done.stderr.count("Error: ") == 1
    assert "Next: " in done.stderr


def test_a_failed_turn_is_forgotten_where_a_person_sits(network, backend, capfd):
    network.faults.once("lock-402")

    converse(backend, lines("This one fails somehow", "This one works"))

    assert [roles(body) for body in conversation(network)] == [["user"]]
    assert capfd.readouterr().err.count("Error: ") == 1


def test_a_failed_turn_is_raised_where_nobody_sits(network, backend):
    network.faults.always("lock-402")

    with pytest.raises(ConfidentialError):
        converse(backend, lines("Anything"), forgiving=False)


def test_interrupting_an_answer_forgets_the_turn(network, backend, capfd):
    given = iter([KeyboardInterrupt, "Still there?"])

    class Interrupted(type(backend)):
        def stream(self, messages):
            if (it := next(given)) is KeyboardInterrupt:
                raise it
            return super().stream(messages)

    converse(Interrupted(Endpoint()), lines("a", "b"))

    assert [roles(body) for body in conversation(network)] == [["user"]]
    assert "this turn is forgotten" in capfd.readouterr().err
