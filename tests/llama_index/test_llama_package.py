"""What is imported when, the conventional import paths, and the global settings."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from llama_index.core.embeddings import MockEmbedding
from llama_index.core.llms import MockLLM
from llama_index.core.settings import Settings

import llama_index_atoma
from atoma_confidential.known_models import EMBEDDING_MODEL, query_instruction_of
from llama_index_atoma import AtomaChatModel, AtomaEmbeddings, errors, use_atoma

ROOT = Path(__file__).parents[2]
NAMESPACE = ROOT / "shared" / "llama_index_namespace"


def python(code, *paths):
    """Run code in a new process; give what it prints."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(map(str, [*paths, ROOT, ROOT / "shared"])),
    }
    done = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def loaded_by(code, *names):
    shown = f"import sys\n{code}\nprint(*[n for n in {names!r} if n in sys.modules])"
    return python(shown).split()


def test_the_package_alone_loads_nothing():
    assert loaded_by("import llama_index_atoma", "llama_index.core", "httpx") == []


def test_embeddings_do_not_load_chat_models():
    code = "from llama_index_atoma import AtomaEmbeddings"
    assert loaded_by(code, "llama_index_atoma.llms", "openai", "langchain_core") == []


def test_chat_models_load_no_other_provider():
    code = "from llama_index_atoma import AtomaChatModel"
    others = ("openai", "langchain_core", "langchain_atoma", "atoma_local", "atoma_cli")
    assert loaded_by(code, *others) == []


def test_all_names_are_there():
    assert dir(llama_index_atoma) == llama_index_atoma.__all__
    for name in llama_index_atoma.__all__:
        assert getattr(llama_index_atoma, name) is not None
    assert llama_index_atoma.Atoma is AtomaChatModel
    assert llama_index_atoma.AtomaEmbedding is AtomaEmbeddings
    with pytest.raises(AttributeError, match="AtomaChat'"):
        _ = llama_index_atoma.AtomaChat


def test_the_conventional_paths_are_the_same_classes():
    code = """
import llama_index.core, llama_index_atoma
from llama_index.llms.atoma import Atoma, AtomaChatModel
from llama_index.embeddings.atoma import AtomaEmbedding, AtomaEmbeddings
assert Atoma is AtomaChatModel is llama_index_atoma.AtomaChatModel
assert AtomaEmbedding is AtomaEmbeddings is llama_index_atoma.AtomaEmbeddings
print("same")
"""
    assert python(code, NAMESPACE) == "same"


def test_nothing_of_ours_hides_the_namespace():
    # One `llama_index/__init__.py` would make `llama_index.core` unimportable.
    forbidden = {
        NAMESPACE / "llama_index" / Path(*parts) / "__init__.py"
        for parts in ((), ("llms",), ("embeddings",))
    }
    found = set(NAMESPACE.rglob("*.py"))
    assert found & forbidden == set()
    assert len(found) == 2
    assert not (ROOT / "llama_index").exists()


def test_both_models_are_set_by_name(monkeypatch):
    monkeypatch.setenv("ATOMA_API_KEY", "k")
    use_atoma()
    assert Settings.llm.model == "meta-llama/Llama-3.3-70B-Instruct"
    assert Settings.embed_model.model_name == "intfloat/multilingual-e5-large-instruct"
    use_atoma(llm="one", embed_model="two", base_url="http://localhost:1")
    assert (Settings.llm.model, Settings.embed_model.model_name) == ("one", "two")
    assert Settings.llm.base_url == Settings.embed_model.base_url


def test_the_default_model_gets_the_instruction_it_was_trained_with(
    atoma, canary, monkeypatch
):
    use_atoma(api_key=atoma.api_key, base_url=atoma.base_url)
    Settings.embed_model.get_query_embedding(canary)
    Settings.embed_model.get_text_embedding(canary)
    query, text = (one.body["input"] for one in atoma.opened)
    assert query == [query_instruction_of(EMBEDDING_MODEL) + canary]
    assert text == [canary]


def test_models_that_are_there_already_are_taken():
    llm = AtomaChatModel(model="m", api_key="k")
    embed_model = AtomaEmbeddings(model_name="e", api_key="k")
    use_atoma(llm=llm, embed_model=embed_model)
    assert Settings.llm is llm
    assert Settings.embed_model is embed_model


READY = {
    "llm": AtomaChatModel(model="m", api_key="k"),
    "embed_model": AtomaEmbeddings(model_name="e", api_key="k"),
}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({}, "ATOMA_API_KEY"),
        ({"api_key": "k", "embed_model": ""}, "model"),
        ({"api_key": "k", "x": 1}, "x"),
        ({"api_key": "k", "llm": None}, "llm .* not NoneType"),
        ({"api_key": "k", "embed_model": None}, "embed_model .* not NoneType"),
        ({"api_key": "k", "embed_model": object()}, "embed_model .* not object"),
        ({"api_key": "k", "llm": MockLLM()}, "llm .* not MockLLM"),
        (
            {"llm": READY["llm"], "embed_model": MockEmbedding(embed_dim=2)},
            "embed_model .* not MockEmbedding",
        ),
        (
            {"llm": READY["embed_model"], "embed_model": READY["llm"]},
            "llm .* not AtomaEmbeddings",
        ),
        ({**READY, "base_url": "https://a.example", "timeout": 1}, "base_url, timeout"),
    ],
)
def test_both_or_none(arguments, told):
    llm = AtomaChatModel(model="before", api_key="k")
    use_atoma(llm=llm, embed_model=AtomaEmbeddings(model_name="b", api_key="k"))
    with pytest.raises(errors.InvalidInputError, match=told):
        use_atoma(**arguments)
    assert Settings.llm is llm
    assert Settings.embed_model.model_name == "b"
