"""`atoma doctor`: each thing it looks at can be found well, and can be found wrong."""

import contextlib
import datetime as dt
import email.utils
import json
import socket
import ssl
import threading

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from packaging.requirements import Requirement
from schemas import Findings
from silicon import Issued

from atoma_cli import _surroundings
from atoma_cli._findings import State

EVERYTHING = [
    "versions",
    "tracing",
    "tracing",
    "address",
    "api key",
    "name",
    "tls",
    "clock",
    "account",
    "lock",
    "round trip",
    "trust",
    "streams",
]


@pytest.fixture
def examined(atoma_command):
    """Run it; gives the findings by name and the exit code."""

    def run(*arguments):
        done = atoma_command("doctor", "--json", *arguments)
        told = Findings.model_validate_json(done.stdout)
        assert done.exit_code == told.exit_code
        assert [one.name for one in told.findings] == EVERYTHING
        return {one.name: one for one in told.findings}, done.exit_code

    return run


def test_all_is_well_with_a_local_atoma(examined, network):
    found, code = examined()
    assert code == 0
    assert found["round trip"].state is State.OK
    assert found["streams"].state is State.OK
    # What nobody checked is never said to be well.
    assert found["trust"].state is State.NOTE
    assert found["tls"].state is found["clock"].state is State.SKIPPED


def test_it_reads_well_for_a_person(atoma_command, network):
    done = atoma_command("doctor")
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert lines[0].startswith(" OK      versions")
    assert "because the proxy says so" in done.stdout
    assert network.api_key not in done.stdout


def test_offline_sends_nothing_and_says_what_was_skipped(examined, network):
    found, code = examined("--offline")
    assert code == 0
    assert network.exchanges == []
    for name in EVERYTHING[5:]:
        assert found[name].state is State.SKIPPED


def test_no_spend_takes_no_lock(examined, network):
    found, code = examined("--no-spend")
    assert code == 0
    assert found["account"].state is State.OK
    assert found["lock"].state is found["streams"].state is State.SKIPPED
    assert all(exchange.path != "/v1/nodes/lock" for exchange in network.exchanges)


def test_a_node_that_repeats_nonces_is_told(examined, network):
    network.nonces = "reused"
    found, code = examined()
    assert code == 0
    assert found["streams"].state is State.NOTE
    assert "repeats a nonce" in found["streams"].detail


def test_a_key_that_is_missing_or_refused(examined, network, monkeypatch):
    monkeypatch.setenv("ATOMA_API_KEY", "wrong")
    found, code = examined()
    assert code == 1
    assert found["account"].state is State.WRONG
    assert found["lock"].state is State.SKIPPED
    monkeypatch.delenv("ATOMA_API_KEY")
    found, code = examined()
    assert code == 1
    assert found["api key"].state is State.WRONG


@pytest.mark.parametrize(
    ("fault", "name"), [("lock-503", "lock"), ("tag-tampered", "round trip")]
)
def test_a_failure_is_named_where_it_happened(examined, network, fault, name):
    network.faults.always(fault)
    found, code = examined()
    assert code == 1
    assert found[name].state is State.WRONG
    assert found[name].advice
    assert found["streams"].state is State.SKIPPED


def test_an_address_that_cannot_be_used(examined, network, monkeypatch):
    monkeypatch.setenv("ATOMA_BASE_URL", "http://elsewhere.example")
    found, code = examined()
    assert code == 1
    assert found["address"].state is State.WRONG
    assert found["name"].state is State.SKIPPED


def test_a_name_without_an_address(examined, network, monkeypatch):
    def nowhere(*_arguments, **_options):
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", nowhere)
    found, code = examined()
    assert code == 1
    assert found["name"].state is State.WRONG
    assert found["account"].state is State.SKIPPED


def test_behind_a_proxy_the_host_is_the_proxys_to_find(monkeypatch):
    def nowhere(*_arguments, **_options):
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", nowhere)
    assert _surroundings.name("https://there.example").state is State.WRONG
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:1")
    assert _surroundings.name("https://there.example").state is State.SKIPPED
    assert _surroundings.tls("https://there.example").state is State.SKIPPED


def answers_with(monkeypatch, response):
    answer = contextlib.nullcontext(response)
    monkeypatch.setattr(httpx, "stream", lambda *_, **__: answer)


@pytest.mark.parametrize(("seconds", "state"), [(0, State.OK), (-900, State.WRONG)])
def test_the_clock_is_compared_with_the_servers(monkeypatch, seconds, state):
    there = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=seconds)
    head = {"date": email.utils.format_datetime(there, usegmt=True)}
    answers_with(monkeypatch, httpx.Response(200, headers=head))
    assert _surroundings.clock("https://there.example").state is state


def test_a_server_that_tells_no_time_leaves_the_clock_unknown(monkeypatch):
    answers_with(monkeypatch, httpx.Response(200))
    assert _surroundings.clock("https://there.example").state is State.UNKNOWN


@pytest.fixture
def untrusted(tmp_path):
    """A TLS server whose certificate nobody vouches for; gives its port."""
    issued = Issued("localhost", curve=ec.SECP256R1(), digest=SHA256())
    pem = tmp_path / "server.pem"
    pem.write_bytes(
        issued.pem
        + issued.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=_refused, args=(listener, context))
        thread.start()
        yield listener.getsockname()[1]
        thread.join()


def _refused(listener, context):
    plain, _ = listener.accept()
    with plain, contextlib.suppress(OSError):
        context.wrap_socket(plain, server_side=True).close()


def test_a_certificate_that_nobody_vouches_for_is_wrong(untrusted):
    found = _surroundings.tls(f"https://127.0.0.1:{untrusted}")
    assert found.state is State.WRONG
    assert "not accepted" in found.detail


def test_where_nobody_listens_tls_is_unknown():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert _surroundings.tls(f"https://127.0.0.1:{port}").state is State.UNKNOWN


@pytest.mark.parametrize(("days", "state"), [(90, State.OK), (3, State.NOTE)])
def test_a_certificate_that_ends_soon_is_told(days, state):
    class Tls:
        def getpeercert(self):
            ends = dt.datetime.now(dt.UTC) + dt.timedelta(days=days, hours=1)
            return {"notAfter": ends.strftime("%b %d %H:%M:%S %Y GMT")}

        def version(self):
            return "TLSv1.3"

    assert _surroundings._certificate(Tls()).state is state


def test_a_dependency_of_another_version_is_wrong(examined, network, monkeypatch):
    wanted = [Requirement("httpx>=99"), Requirement("not-installed>=1")]
    monkeypatch.setattr(_surroundings, "_requirements", lambda: wanted)
    found, code = examined()
    assert code == 1
    assert "httpx" in found["versions"].detail
    assert "not-installed" not in found["versions"].detail


def test_a_sink_that_is_on_is_a_note(langsmith):
    langchain, llama_index = _surroundings.tracing()
    assert langchain.state is State.NOTE
    assert "langsmith" in langchain.detail.lower()
    assert llama_index.state is State.OK


def test_usage_has_an_exit_code_of_its_own(atoma_command, network):
    assert atoma_command("doctor", "--nonsense").exit_code == 64
    assert json.loads(atoma_command("doctor", "--json").stdout)["exit_code"] == 0
