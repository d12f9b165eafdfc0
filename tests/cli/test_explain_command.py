"""`atoma explain`: who would see what, and that nothing is sent to find out."""

import json

import pytest
from schemas import Strict

SECRET = "My cat is called Mephistopheles the Third."


class Crossing(Strict):
    purpose: str
    method: str
    path: str
    headers: dict[str, str]
    clear: dict[str, str]
    sealed: list[str]
    sealed_bytes: int


class Call(Strict):
    crossings: list[Crossing]
    answer_clear: list[str]
    policy: str
    asked: list[str]
    proxy: list[str]
    node: list[str]
    network: list[str]


class Schema(Strict):
    calls: dict[str, Call]
    tracing: dict[str, str]
    disk: str


def test_it_names_the_parties_and_sends_nothing(atoma_command, network, folder):
    done = atoma_command("explain", SECRET, "--folder", folder)
    assert done.exit_code == 0, done.stderr
    for party in ("The proxy", "The node", "The network", "Tracing", "This disk"):
        assert party in done.stdout
    assert "Nothing is sent by this command." in done.stdout
    assert "Mephistopheles" not in done.stdout
    assert network.exchanges == []


def test_json_has_its_schema(atoma_command, network, folder):
    done = atoma_command("explain", SECRET, "--folder", folder, "--json")
    told = Schema.model_validate_json(done.stdout)
    assert len(told.calls) == 2
    (asking,) = [call for name, call in told.calls.items() if name == "asking"]
    assert asking.policy == "proxy_asserted"
    assert set(told.tracing) == {"LangChain", "LlamaIndex"}
    assert "Mephistopheles" not in done.stdout


def test_it_needs_no_key(atoma_command, network, monkeypatch):
    monkeypatch.delenv("ATOMA_API_KEY")
    done = atoma_command("explain")
    assert done.exit_code == 0, done.stderr
    assert "nothing is written" in done.stdout


def test_a_sink_that_is_on_is_named(atoma_command, network, langsmith):
    told = json.loads(atoma_command("explain", "--json").stdout)
    assert "langsmith" in told["tracing"]["LangChain"].lower()


@pytest.mark.parametrize("mode", ["live", "buffered"])
def test_the_mode_of_streams_is_explained(atoma_command, network, mode):
    done = atoma_command("explain", "--stream-mode", mode, "--json")
    last = Schema.model_validate_json(done.stdout).calls["asking"].crossings[-1]
    assert last.clear["stream"] == str(mode == "live")


def test_without_sealing_everything_is_seen(atoma_command, network):
    done = atoma_command("explain", "--no-confidential", "--json")
    assert Schema.model_validate_json(done.stdout).calls["asking"].proxy == [
        "everything"
    ]
