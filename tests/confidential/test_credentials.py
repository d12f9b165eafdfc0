import pytest

from atoma_confidential import InvalidInputError, MissingCredentialsError
from atoma_confidential.credentials import (
    DEFAULT_BASE_URL,
    resolve_api_key,
    resolve_base_url,
)


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch):
    for name in (
        "ATOMA_API_KEY",
        "ATOMASDK_BEARER_AUTH",
        "ATOMA_BASE_URL",
        "ATOMA_API_BASE",
    ):
        monkeypatch.delenv(name, raising=False)


def test_a_missing_key_names_the_variables():
    with pytest.raises(MissingCredentialsError) as caught:
        resolve_api_key()
    assert "ATOMA_API_KEY" in str(caught.value)
    assert "ATOMASDK_BEARER_AUTH" in str(caught.value)


def test_the_key_given_comes_before_the_environment(monkeypatch):
    monkeypatch.setenv("ATOMASDK_BEARER_AUTH", "sdk")
    assert resolve_api_key() == "sdk"
    monkeypatch.setenv("ATOMA_API_KEY", "ours")
    assert resolve_api_key() == "ours"
    assert resolve_api_key("given") == "given"


@pytest.mark.parametrize("key", ["two words", "line\nbreak", "schlüssel", "\x00"])
def test_a_key_that_is_no_header_is_refused_and_not_shown(key):
    with pytest.raises(InvalidInputError) as caught:
        resolve_api_key(key)
    assert key not in str(caught.value)


def test_the_base_url_defaults_to_the_network(monkeypatch):
    assert resolve_base_url() == DEFAULT_BASE_URL
    monkeypatch.setenv("ATOMA_API_BASE", "https://second.example")
    assert resolve_base_url() == "https://second.example"
    monkeypatch.setenv("ATOMA_BASE_URL", "https://first.example")
    assert resolve_base_url() == "https://first.example"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("https://atoma.example/", "https://atoma.example"),
        ("https://atoma.example/v1", "https://atoma.example"),
        ("https://atoma.example/prefix/v1/", "https://atoma.example/prefix"),
        ("http://127.0.0.1:8080/v1", "http://127.0.0.1:8080"),
        ("http://localhost:8080", "http://localhost:8080"),
        ("http://[::1]:8080", "http://[::1]:8080"),
    ],
)
def test_a_base_url_is_reduced_to_what_paths_are_appended_to(given, expected):
    assert resolve_base_url(given) == expected


@pytest.mark.parametrize(
    "url",
    [
        "ftp://atoma.example",
        "atoma.example",
        "http://atoma.example",
        "http://10.0.0.1",
        "https://user:secret@atoma.example",
        "https://atoma.example?key=secret",
        "https://atoma.example#secret",
        "https://atoma.example?",
        "https://atoma.example#",
        "https://..",
        f"https://{'a' * 64}.example",
        "https://[broken",
        "https://atoma.example:port",
        "   ",
    ],
)
def test_a_base_url_that_would_expose_something_is_refused(url):
    with pytest.raises(InvalidInputError) as caught:
        resolve_base_url(url)
    assert "secret" not in str(caught.value)
