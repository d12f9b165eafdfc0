"""What importing the package does, in interpreters of their own."""

import importlib
import importlib.metadata
import json
import subprocess
import sys

import pytest

import langchain_atoma


def run(code):
    """Run code in a fresh interpreter; return what it prints as JSON."""
    ran = subprocess.run(  # noqa: S603
        [sys.executable, "-W", "error", "-c", code],
        check=True,
        capture_output=True,
        text=True,
    )
    return json.loads(ran.stdout)


def test_importing_the_package_imports_nothing_else():
    modules = run(
        "import sys, json; import langchain_atoma\n"
        "json.dump([*sys.modules], sys.stdout)"
    )
    loaded = {name.partition(".")[0] for name in modules}
    assert not loaded & {
        "langchain_core",
        "langsmith",
        "pydantic",
        "httpx",
        "cryptography",
    }


def test_importing_and_making_models_connects_to_nothing():
    made = run(
        "import sys, json, socket, httpx\n"
        "made = []\n"
        "def note(name):\n"
        "    return lambda *args, **kwargs: made.append(name)\n"
        "httpx.Client.__init__ = note('Client')\n"
        "httpx.AsyncClient.__init__ = note('AsyncClient')\n"
        "socket.socket.connect = note('connect')\n"
        "from langchain_atoma import AtomaChatModel, AtomaEmbeddings\n"
        "AtomaChatModel(model='m', api_key='k').profile\n"
        "AtomaEmbeddings(model='m', api_key='k')\n"
        "json.dump(made, sys.stdout)"
    )
    assert made == []


def test_embeddings_do_not_load_chat_models():
    modules = run(
        "import sys, json; from langchain_atoma import AtomaEmbeddings\n"
        "json.dump([*sys.modules], sys.stdout)"
    )
    assert "langchain_core.embeddings" in modules
    assert not {"langchain_core.language_models.chat_models", "langsmith"} & {*modules}


def test_chat_models_load_no_parser_of_structured_output():
    modules = run(
        "import sys, json; from langchain_atoma import AtomaChatModel\n"
        "json.dump([*sys.modules], sys.stdout)"
    )
    assert "langchain_atoma._structured" not in modules


def test_a_message_is_read_by_our_translator_once_the_class_is_loaded():
    blocks = run(
        "import sys, json; import langchain_atoma.chat_models\n"
        "from langchain_core.messages import AIMessageChunk\n"
        "chunk = AIMessageChunk('hi', response_metadata={'model_provider': 'atoma'})\n"
        "json.dump(chunk.content_blocks, sys.stdout)"
    )
    assert blocks == [{"type": "text", "text": "hi", "index": "lc_txt_0"}]


@pytest.mark.parametrize("name", langchain_atoma.__all__)
def test_every_public_name_is_there(name):
    assert getattr(langchain_atoma, name) is not None
    assert name in dir(langchain_atoma)


def test_public_names_are_sorted_and_no_others_are_promised():
    assert langchain_atoma.__all__ == sorted(langchain_atoma.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        langchain_atoma.Nothing  # noqa: B018


@pytest.mark.parametrize(
    "name", ["chat_models", "embeddings", "_convert", "_parse", "_chunks", "_tracing"]
)
def test_modules_export_what_they_say(name):
    module = importlib.import_module(f"langchain_atoma.{name}")
    assert module.__all__ == sorted(module.__all__)
    assert all(hasattr(module, exported) for exported in module.__all__)


def test_the_version_is_that_of_the_distribution():
    installed = importlib.metadata.version("atoma-confidential")
    assert langchain_atoma.__version__ == installed
