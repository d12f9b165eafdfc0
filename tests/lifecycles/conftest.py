"""Each way to ask, before an engine that says the same to all."""

import gc

import lived
import pytest


@pytest.fixture(params=lived.WAYS, ids=lambda way: way.name)
def way(request):
    return request.param


@pytest.fixture(params=lived.STREAMS, ids=lambda way: way.name)
def stream(request):
    return request.param


@pytest.fixture
def scripted(make_atoma):
    return make_atoma(backend=lived.engine())


@pytest.fixture(autouse=True)
def _collected():
    """Find in a test what it has left: an open socket warns when it is collected."""
    yield
    gc.collect()
