"""`atoma local` and `atoma models`: what they print, and that it works as printed."""

import signal
import socket

import httpx
import pytest

from atoma_cli._local import _look_for
from atoma_confidential import AuthenticationError, Client, RateLimitError
from atoma_local import UpstreamBackend

MODEL = "meta-llama/Llama-3.3-70B-Instruct"


def settings(process):
    """Read the two lines, as a user would copy them."""
    return dict(process.stdout.readline().strip().split("=", 1) for _ in range(2))


def ask(settings):
    with Client(
        api_key=settings["ATOMA_API_KEY"], base_url=settings["ATOMA_BASE_URL"]
    ) as client:
        asked = [{"role": "user", "content": "Say something friendly."}]
        return client.chat(asked, model=MODEL).verdict


def test_prints_two_lines_that_work_and_ends_on_ctrl_c(start):
    process = start("atoma_cli", "local", "--port", 0)

    found = settings(process)
    assert found.keys() == {"ATOMA_BASE_URL", "ATOMA_API_KEY"}
    assert ask(found).sealed

    process.send_signal(signal.SIGINT)
    rest, said = process.communicate(timeout=10)
    assert process.returncode in {0, 130}
    assert rest == ""
    assert "not a TEE" in said
    assert "Traceback" not in said


def test_takes_a_key_and_accepts_no_other(start):
    found = settings(start("atoma_cli", "local", "--port", 0, "--api-key", "mine"))

    assert found["ATOMA_API_KEY"] == "mine"
    assert ask(found).sealed
    with pytest.raises(AuthenticationError):
        ask({**found, "ATOMA_API_KEY": "atoma-local"})


def test_a_taken_port_is_one_sentence(atoma_command):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = atoma_command("local", "--port", taken.getsockname()[1])

    assert done.exit_code == 1
    assert "cannot be used: Address already in use." in done.stderr
    assert "--port" in done.stderr


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.1", "example.org"])  # noqa: S104
def test_serves_nobody_else(atoma_command, host):
    done = atoma_command("local", "--host", host)

    assert done.exit_code == 2
    assert "not a loopback address" in done.stderr


@pytest.mark.parametrize(
    "url",
    ["localhost:11434", "ftp://localhost", "http://", "http://[::1", "http://a:b"],
)
def test_an_engine_must_have_an_address(atoma_command, url):
    done = atoma_command("local", "--upstream", url)

    assert done.exit_code == 2
    assert "not an http address" in done.stderr


def served(start, url):
    """Start before an engine, and end; what was said meanwhile."""
    process = start("atoma_cli", "local", "--port", 0, "--upstream", url)
    settings(process)
    process.send_signal(signal.SIGINT)
    return process.communicate(timeout=10)[1]


def test_an_engine_that_is_not_there_yet_is_noted(start):
    engine = "http://127.0.0.1:9"
    assert f"Nothing answers at {engine} yet." in served(start, engine)


def test_an_engines_key_comes_from_the_environment(start, atoma, monkeypatch):
    wants = f"The engine at {atoma.base_url} refuses the key: set ATOMA_UPSTREAM_API"
    assert wants in served(start, atoma.base_url)

    monkeypatch.setenv("ATOMA_UPSTREAM_API_KEY", f"{atoma.api_key}\n")
    said = served(start, atoma.base_url)
    assert f"The engine at {atoma.base_url} serves {MODEL}, " in said
    assert atoma.api_key not in said


@pytest.mark.parametrize(
    ("status", "words"),
    [(500, "does not say what it serves"), (404, "every name is passed on")],
)
async def test_an_engine_that_lists_nothing(status, words):
    transport = httpx.MockTransport(lambda _: httpx.Response(status))
    engine = UpstreamBackend("http://engine.invalid", transport=transport)

    assert words in await _look_for(engine, "http://engine.invalid")


def test_an_engines_key_that_is_none(atoma_command, monkeypatch):
    monkeypatch.setenv("ATOMA_UPSTREAM_API_KEY", "sk-…")
    done = atoma_command("local", "--upstream", "http://127.0.0.1:9")

    assert done.exit_code == 1
    assert "ATOMA_UPSTREAM_API_KEY holds characters that no key has." in done.stderr
    assert "sk-" not in done.stderr


def test_an_engine_elsewhere_is_told_of(start):
    said = served(start, "http://engine.invalid")
    assert "What is asked leaves this machine for http://engine.invalid, opened" in said


def test_lists_models_one_a_line(atoma_command):
    done = atoma_command("models")

    assert done.exit_code == 0, done.stderr
    assert MODEL in done.stdout.splitlines()
    assert done.stdout.splitlines() == sorted(done.stdout.splitlines())


def test_models_needs_a_key(atoma_command, monkeypatch):
    monkeypatch.delenv("ATOMA_API_KEY")

    done = atoma_command("models")

    assert done.exit_code == 1
    assert "ATOMA_API_KEY" in done.stderr


def test_misbehaves_as_told(start):
    faults = ("--fault", "post-429-retry-after:0", "--fault", "stream-truncated:2")
    found = settings(start("atoma_cli", "local", "--port", 0, *faults))

    with pytest.raises(RateLimitError):
        ask(found)


def test_an_unknown_fault_lists_the_known_ones(atoma_command):
    done = atoma_command("local", "--port", 0, "--fault", "gremlins")

    assert done.exit_code == 1
    assert "no such fault" in done.stderr
    assert "post-429" in done.stderr
