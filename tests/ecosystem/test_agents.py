"""The agents of the how-to pages: what they do, and what the wire and the disk show.

Each runs with the canary among what its tools are called with and answer.
"""

import gc
import json
import sys

import pytest
from cryptography.exceptions import InvalidTag
from how_to import script
from langchain_core.messages import ToolMessage
from langgraph.checkpoint.sqlite import SqliteSaver

from atoma_local import encodings_of

# LlamaIndex's agents bring these along.
pytestmark = pytest.mark.filterwarnings(
    "ignore::pydantic.warnings.PydanticDeprecatedSince20",
    "ignore::pydantic.warnings.PydanticDeprecatedSince211",
    "ignore::ResourceWarning",
)


@pytest.fixture
def run(atoma, monkeypatch, tmp_path):
    """Run a page's script with words in place of some of its own; give its names."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ATOMA_BASE_URL", atoma.base_url)
    monkeypatch.setenv("ATOMA_API_KEY", atoma.api_key)

    def run_page(page, words):
        names = {"__name__": "__main__"}
        exec(script(page, words=words), names)  # noqa: S102
        return names

    yield run_page
    gc.collect()


def tool_results(atoma):
    """What the node read as results of tools, in the last request."""
    said = atoma.opened[-1].body["messages"]
    return [one["content"] for one in said if one["role"] == "tool"]


def on_disk(folder):
    return b"".join(path.read_bytes() for path in folder.iterdir())


def in_any_form(text, raw):
    return any(pattern.data in raw for pattern in encodings_of(text))


@pytest.fixture
def remembering(run, canary):
    return run("langgraph-agent", {"Heliotrope": canary})


def test_an_agent_answers_and_its_thread_goes_on_from_the_disk(
    remembering, atoma, canary, tmp_path
):
    said = f"The balance of the account {canary} is 48,211 euros."
    human, call, result, answer = remembering["kept"]
    assert canary in human.text
    assert call.tool_calls[0]["args"] == {"account": canary}
    assert isinstance(result, ToolMessage)
    assert result.text == answer.text == said
    assert all(
        message.response_metadata["atoma"]["sealed"] for message in (call, answer)
    )
    assert tool_results(atoma) == [said]

    with SqliteSaver.from_conn_string("threads.db") as saver:
        agent = remembering["make_agent"](saver, remembering["key"])
        asked = {"messages": [("user", "Thank you.")]}
        agent.invoke(asked, remembering["thread"])
    roles = [message["role"] for message in atoma.opened[-1].body["messages"]]
    assert roles == ["user", "assistant", "tool", "assistant", "user"]

    raw = on_disk(tmp_path)
    found = [text for text in (canary, said, "Thank you.") if in_any_form(text, raw)]
    assert found == []


def test_without_encryption_the_disk_tells(run, canary, tmp_path):
    """Else the search of the test before could not fail."""
    plain = {"saver.serde = OnlyEncrypted(AesGcm(key))": "pass", "Heliotrope": canary}
    with pytest.raises(AssertionError):  # of the page itself, at its end
        run("langgraph-agent", plain)
    assert in_any_form(canary, on_disk(tmp_path))


def test_another_key_or_a_changed_checkpoint_is_refused(remembering):
    make_agent, thread = remembering["make_agent"], remembering["thread"]
    with SqliteSaver.from_conn_string("threads.db") as saver:
        with pytest.raises(InvalidTag):
            make_agent(saver, bytes(32)).get_state(thread)
        saver.conn.execute("UPDATE checkpoints SET type = 'msgpack'")
        with pytest.raises(ValueError, match="is not encrypted"):
            make_agent(saver, remembering["key"]).get_state(thread)
        saver.conn.execute(
            "UPDATE checkpoints SET type = 'msgpack+aes-gcm', "
            "checkpoint = CAST(checkpoint || x'00' AS BLOB)"
        )
        with pytest.raises(InvalidTag):
            make_agent(saver, remembering["key"]).get_state(thread)


def test_a_supervisor_asks_two_agents(run, atoma, canary):
    names = run("multi-agent", {"48,211 euros": canary})
    minutes, balance = (
        "The committee moves the archive into the mill.",
        f"The balance is {canary}.",
    )
    assert names["said"] == {
        "supervisor": f"{minutes} {balance}",
        "archivist": minutes,
        "treasurer": balance,
    }
    # Each of the three calls the model twice; each call has its own verdict.
    assert len(names["verdicts"]) == 6
    assert {verdict["key"] for verdict in names["verdicts"]} == {
        names["verdicts"][0]["key"]
    }
    assert tool_results(atoma) == [minutes, balance]


def test_one_agent_hands_over_to_another(run, atoma, canary, capsys):
    names = run("llama-index-agents", {"Heliotrope": canary})
    said = f"The balance of {canary} is 48,211 euros."
    assert names["answer"].current_agent_name == "treasurer"
    assert str(names["answer"]).endswith(said)
    assert tool_results(atoma)[-1] == said
    shown = capsys.readouterr().out
    assert shown.startswith("[handoff]\n[account_balance]\n")
    assert shown.endswith(said)  # it was streamed


def test_tools_of_a_server_on_stdio(run, atoma, canary):
    # What the server is told of the environment becomes part of its answer.
    asked = {
        "Heliotrope": canary,
        "from mcp.server": "import os\nfrom mcp.server",
        "is 48,211 euros.": "is 48,211 euros, {sum('ATOMA' in n for n in os.environ)}.",
    }
    names = run("mcp-tools", asked)
    said = f"The balance of {canary} is 48,211 euros, 0."
    of_langchain, of_llama_index = names["answers"]
    assert of_langchain == said
    assert said in of_llama_index
    assert said in tool_results(atoma)[0]
    offered = [
        opened.body["tools"][0]["function"]["name"]
        for opened in atoma.opened
        if "tools" in opened.body
    ]
    assert set(offered) == {"account_balance"}
    assert sys.executable not in json.dumps([opened.body for opened in atoma.opened])
