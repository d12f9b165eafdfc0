"""Our errors as errors of an HTTP library or an SDK, too."""

import pickle
import sys

import httpx
import httpx2
import openai
import pytest

from atoma_confidential import errors
from atoma_confidential._twins import twin_of

LIBRARIES = [httpx, httpx2]
OF_LIBRARIES = [
    (errors.ReplyTimeoutError, "ReadTimeout"),
    (errors.StreamStalledError, "ReadTimeout"),
    (errors.ConnectionFailedError, "ConnectError"),
    (errors.ConnectionLostError, "ReadError"),
    (errors.AnswerCutError, "ReadError"),
]
KINDS = [
    kind
    for name in errors.__all__
    if isinstance(kind := getattr(errors, name), type)
    and issubclass(kind, errors.ConfidentialError)
]


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize(("kind", "name"), OF_LIBRARIES)
def test_timeouts_and_connections_are_the_librarys_too(library, kind, name):
    error = kind("It failed.", errors.Exposure.SEALED)
    twin = twin_of(error, library)

    assert isinstance(twin, kind)
    assert isinstance(twin, getattr(library, name))
    assert not isinstance(twin, openai.OpenAIError)
    assert str(twin) == str(error)


@pytest.mark.parametrize("kind", KINDS)
def test_all_others_are_the_sdks_too(kind):
    error = kind("It failed.", errors.Exposure.LOCK)
    twin = twin_of(error, httpx)

    assert isinstance(twin, kind)
    assert isinstance(twin, openai.OpenAIError) != isinstance(twin, httpx.HTTPError)
    assert (type(twin).__name__, str(twin)) == (kind.__name__, str(error))
    assert twin.exposure is errors.Exposure.LOCK


def test_a_status_is_kept():
    error = errors.RateLimitError("", errors.Exposure.LOCK, 429, "LOCKED", 3.0)
    twin = twin_of(error, httpx)

    assert vars(twin) == vars(error)


def test_without_the_sdk_an_error_stays_as_it_is(monkeypatch):
    monkeypatch.delitem(sys.modules, "openai")
    error = errors.OpenError("It failed.")

    assert twin_of(error, httpx) is error


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("kind", [errors.OpenError, errors.ReplyTimeoutError])
def test_a_pickled_twin_comes_back_as_ours(library, kind):
    twin = twin_of(kind("It failed.", errors.Exposure.SEALED), library)
    twin.request = library.Request("POST", "https://a.example")
    back = pickle.loads(pickle.dumps(twin))

    assert type(back) is kind
    assert (str(back), back.exposure) == (str(twin), twin.exposure)


@pytest.mark.parametrize("library", LIBRARIES)
def test_the_request_that_a_library_hangs_on_it_says_nothing(library):
    """Each library does so with whatever its transport raises of its own classes."""
    headers = {"authorization": "Bearer secret"}

    def fail(_request):
        raise twin_of(errors.ReplyTimeoutError("Late."), library)

    client = library.Client(transport=library.MockTransport(fail), headers=headers)
    with pytest.raises(library.ReadTimeout) as caught:
        client.post("https://a.example/x", json={"secret": 1})

    kept = caught.value.request
    assert (kept.method, str(kept.url)) == ("POST", "https://a.example/x")
    assert "secret" not in str(kept.headers) + kept.read().decode()
