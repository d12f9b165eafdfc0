"""Each way to ask, before an engine that says the same to all."""

import gc
import re
import threading

import lived
import pytest
from waiting import Waiting

from atoma_confidential import _deadline


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


def workers():
    """The threads of batches."""
    named = re.compile(r"atoma-\d+")
    return [one for one in threading.enumerate() if named.fullmatch(one.name)]


@pytest.fixture(autouse=True)
def _workers_end():
    """No thread is left; one whose request is under way ends with it."""
    yield
    for thread in workers():
        thread.join(60)
    assert workers() == []


@pytest.fixture
def waiting():
    engine = Waiting()
    yield engine
    engine.go_on.set()


@pytest.fixture
def waiting_atoma(make_atoma, waiting):
    return make_atoma(backend=waiting)


@pytest.fixture(autouse=True)
def _no_deadline_is_left():
    """One that outlived its block would end the live streams of this thread."""
    yield
    assert _deadline._left(None) is None
