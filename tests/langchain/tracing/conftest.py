"""LangSmith, off, on, and with what it is told hidden."""

import contextlib

import pytest
from langsmith import Client, run_trees
from langsmith.utils import get_env_var
from langsmith_service import LangSmith
from lc_ways import WAYS


@pytest.fixture
async def make_chat(make_chat):
    """Make models whose connections are closed: tracers hold on to them."""
    made = []

    def make(*args, **fields):
        made.append(make_chat(*args, **fields))
        return made[-1]

    yield make
    for model in made:
        await model.clients.asynchronous.aclose()


@pytest.fixture
def langsmith(monkeypatch):
    """LangSmith, switched off."""
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")
    get_env_var.cache_clear()
    with LangSmith() as service:
        # The client that tracers share is otherwise made once a process.
        monkeypatch.setattr(run_trees, "_CLIENT", service.client)
        yield service
    get_env_var.cache_clear()


@pytest.fixture
def traced(langsmith, monkeypatch):
    """LangSmith, switched on by the environment."""
    langsmith.switch_on(monkeypatch)
    return langsmith


@pytest.fixture(params=WAYS)
def way(request):
    return WAYS[request.param]


@pytest.fixture
def hidden(traced, monkeypatch):
    """LangSmith, switched on, with inputs and outputs hidden."""
    for name in ("LANGSMITH_HIDE_INPUTS", "LANGSMITH_HIDE_OUTPUTS"):
        monkeypatch.setenv(name, "true")
    get_env_var.cache_clear()
    with contextlib.closing(Client(api_url=traced.url, api_key="key")) as client:
        traced.client.close()
        traced.client = client
        monkeypatch.setattr(run_trees, "_CLIENT", client)
        yield traced
