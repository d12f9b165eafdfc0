"""`atoma ask` from end to end, over real HTTP and real encryption."""

import re

import pytest
from documents import QUESTION, SECRETS

from atoma_cli._index_dir import default_directory

PREFIX = (
    "Instruct: Given a web search query, retrieve relevant passages that answer the "
    "query\nQuery: "
)


def assert_nothing_crossed(network, *texts):
    assert network.tap.find([*SECRETS, *texts]) == []


def test_answers_from_the_folder_and_lists_its_sources(ask, network, folder):
    done = ask(folder, QUESTION, "-k", 2)

    assert done.exit_code == 0, done.stderr
    answer, _, sources = done.stdout.partition("Sources")
    assert "fourth of May" in answer
    assert "[1] plans/launch.txt, passage 1: The launch of the Heron" in sources
    assert "[2] budget.md, passage 1: # Budget The budget" in sources
    assert "bees.md" not in sources
    assert "3 files, 3 passages: 3 embedded, 0 unchanged, 0 removed." in done.stderr
    assert re.search(
        r"Sealed to node \d+, key [0-9a-f]{16}, for which the proxy alone vouches\. "
        r"Answer: live, hash verified, signature skipped\.",
        done.stderr,
    )
    assert_nothing_crossed(network, answer.strip())


def test_the_model_gets_the_passages_and_the_question(ask, network, folder):
    ask(folder, QUESTION, "-k", 1, "--stream-mode", "buffered")

    body = network.opened[-1].body
    assert body["model"] == "meta-llama/Llama-3.3-70B-Instruct"
    asked = body["messages"][-1]["content"]
    assert SECRETS[1] in asked
    assert SECRETS[0] not in asked
    assert asked.endswith(f"Question: {QUESTION}")


def test_queries_are_embedded_with_the_prefix_of_the_model_and_passages_without(
    ask, network, folder
):
    ask(folder, QUESTION)

    query, passages = (
        body["input"] for path, body in network.opened if path.endswith("embeddings")
    )
    assert query == [f"{PREFIX}{QUESTION}"]
    assert len(passages) == 3
    assert not [passage for passage in passages if "Instruct" in passage]


def test_both_frameworks_send_the_same(atoma_command, make_atoma, folder, monkeypatch):
    """What is shared is shared: they find, ask and embed alike."""

    def opened(framework):
        atoma = make_atoma()
        monkeypatch.setenv("ATOMA_BASE_URL", atoma.base_url)
        monkeypatch.setenv("ATOMA_API_KEY", atoma.api_key)
        done = atoma_command("ask", folder, QUESTION, "--framework", framework)
        assert done.exit_code == 0, done.stderr
        return [(path, body) for path, body in atoma.opened], done.stdout

    assert opened("langchain") == opened("llama-index")


def test_langchain_is_the_default(atoma_command, folder):
    atoma_command("ask", folder, QUESTION)

    assert (default_directory(folder, "langchain") / "index.json").exists()
    assert not default_directory(folder, "llama-index").exists()


def test_the_frameworks_do_not_share_an_index(atoma_command, embedded, folder):
    for framework in ("langchain", "llama-index"):
        done = atoma_command("ask", folder, QUESTION, "--framework", framework)

        assert "3 embedded, 0 unchanged, 0 removed" in done.stderr
        assert len(embedded()) == 3


def test_an_index_of_another_framework_is_refused_before_anything_is_sent(
    atoma_command, network, folder, tmp_path
):
    ask = ("ask", "--index-dir", tmp_path / "index", folder, QUESTION)
    atoma_command(*ask)
    sent = len(network.exchanges)

    done = atoma_command(*ask, "--framework", "llama-index")

    assert done.exit_code == 1
    assert "was made with langchain, not llama-index" in done.stderr
    assert f"Next: Delete {tmp_path / 'index'}" in done.stderr
    assert len(network.exchanges) == sent


def test_the_index_is_kept_outside_of_the_folder(ask, folder, framework):
    before = sorted(folder.rglob("*"))

    ask(folder, QUESTION)

    assert sorted(folder.rglob("*")) == before
    assert (default_directory(folder, framework) / "index.json").exists()


def test_another_embedding_model_is_refused_before_anything_is_sent(
    ask, network, folder
):
    ask(folder, QUESTION)
    sent = len(network.exchanges)

    done = ask(folder, QUESTION, "--embedding-model", "other/model")

    assert done.exit_code == 1
    assert "was made with the embedding model intfloat/" in done.stderr
    assert "Next: Delete " in done.stderr
    assert len(network.exchanges) == sent


@pytest.mark.clear_text
def test_without_sealing_it_says_so_and_everything_crosses(ask, network, folder):
    done = ask(folder, QUESTION, "--no-confidential")

    assert done.exit_code == 0, done.stderr
    assert "Not sealed: the proxy could read all of this." in done.stderr
    found = {finding.text for finding in network.tap.find(SECRETS)}
    assert found == {*range(len(SECRETS))}


def test_a_node_that_reuses_nonces_is_buffered_and_noted(ask, network, folder):
    network.nonces = "reused"

    done = ask(folder, QUESTION)

    assert done.exit_code == 0, done.stderr
    assert done.stderr.count("Note: ") == 1
    assert "Answer: buffered, hash verified" in done.stderr
    assert_nothing_crossed(network)


def test_a_broken_pdf_is_noted_and_the_rest_is_answered(atoma_command, folder):
    (folder / "broken.pdf").write_bytes(b"%PDF-1.4 nothing follows")

    done = atoma_command("ask", folder, QUESTION)

    assert done.exit_code == 0, done.stderr
    assert "Skipped broken.pdf: not a PDF, or a damaged one." in done.stderr
