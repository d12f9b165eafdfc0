"""Servers that say something again and again and never come to the point."""

import asyncio
import datetime as dt
import os
import socket
import ssl
import threading
import time

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

import atoma_confidential as ac
from atoma_confidential import _deadline
from atoma_confidential._deadline import DeadlineTransport, deadline
from atoma_confidential._turns import ThreadTurns

HELLO = [{"role": "user", "content": "Hello"}]


class Babbler:
    """Accepts connections and sends a line for ever, until it is closed."""

    def __init__(self, first, again):
        self._first, self._again = first, again
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._talk, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _talk(self, connection):
        with connection:
            try:
                connection.recv(65536)
                connection.sendall(self._first)
                while not self._over.wait(0.01):
                    connection.sendall(self._again)
            except OSError:
                return

    def close(self):
        self._over.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join()


@pytest.fixture(
    params=[
        (b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"),
        (b"HTTP/1.1 200 OK\r\nX-Long: ", b"x"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", b" "),
    ],
    ids=["interim responses", "a dripping head", "a dripping body"],
)
def babbler(request):
    server = Babbler(*request.param)
    yield server
    server.close()


def settings(babbler):
    return {"api_key": "k", "base_url": babbler.url, "timeout": 0.3, "max_retries": 0}


def test_a_blocking_call_ends_all_the_same(babbler):
    with (
        ac.Client(**settings(babbler)) as client,
        pytest.raises(ac.ReplyTimeoutError),
    ):
        client.chat(HELLO, model="m")


def test_an_asynchronous_call_ends_all_the_same(babbler):
    async def run():
        async with ac.AsyncClient(**settings(babbler)) as client:
            with pytest.raises(ac.ReplyTimeoutError):
                await client.chat(HELLO, model="m")

    asyncio.run(run())


def test_after_a_deadline_nothing_is_connected_to(atoma):
    """Nor read, nor written: all of them ask the same."""
    transport = DeadlineTransport(verify=ssl.create_default_context(), proxy=None)
    with (
        httpx.Client(transport=transport) as http,
        deadline(0),
        pytest.raises(httpx.ReadTimeout, match="has passed"),
    ):
        http.get(atoma.base_url)
    assert atoma.exchanges == []


CHAT = "meta-llama/Llama-3.3-70B-Instruct"


def test_a_deadline_does_not_outlive_its_block_whatever_interrupts_it(monkeypatch):
    class Interrupted:
        def __init__(self, variable):
            self.get, self.set = variable.get, variable.set

        def reset(self, _token):
            raise KeyboardInterrupt

    monkeypatch.setattr(_deadline, "_last", Interrupted(_deadline._last))
    try:
        with _deadline.deadline(60):
            assert _deadline._left(None) <= 60
    except KeyboardInterrupt:
        pass
    assert _deadline._left(None) is None


def test_who_waits_for_a_stuck_turn_stops_waiting(atoma):
    known = {"api_key": atoma.api_key, "base_url": atoma.base_url, "timeout": 0.5}
    with ac.Client(**known) as client:
        turns = client._turns[os.getpid()] = ThreadTurns()
        turns._held[f"lock {CHAT}"] = stuck = threading.Lock()
        with stuck:
            assert client.chat(HELLO, model=CHAT).verdict.sealed


async def test_who_awaits_a_stuck_turn_stops_waiting(atoma):
    known = {"api_key": atoma.api_key, "base_url": atoma.base_url, "timeout": 0.5}
    async with ac.AsyncClient(**known) as client:
        (await client._loop()).turns._held[f"lock {CHAT}"] = asyncio.Event()
        assert (await client.chat(HELLO, model=CHAT)).verdict.sealed


def self_signed():
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    names = x509.SubjectAlternativeName([x509.DNSName("localhost")])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1)
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(names, critical=False)
        .sign(key, hashes.SHA256())
    )
    encoding = serialization.Encoding.PEM
    return certificate.public_bytes(encoding) + key.private_bytes(
        encoding,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def test_a_deadline_holds_within_tls_too(tmp_path):
    pem = tmp_path / "server.pem"
    pem.write_bytes(self_signed())
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(pem)
    listener = socket.create_server(("127.0.0.1", 0))

    def drip():
        with (
            listener.accept()[0] as raw,
            server.wrap_socket(raw, server_side=True) as connection,
        ):
            connection.recv(65536)
            try:
                while True:
                    connection.sendall(b"HTTP/1.1 103 Early Hints\r\n\r\n")
                    time.sleep(0.01)
            except OSError:
                return

    thread = threading.Thread(target=drip)
    thread.start()
    trusting = ssl.create_default_context(cafile=pem)
    url = f"https://localhost:{listener.getsockname()[1]}/"
    with (
        listener,
        httpx.Client(transport=DeadlineTransport(verify=trusting, proxy=None)) as http,
        pytest.raises(httpx.ReadTimeout),
        deadline(0.5),
    ):
        http.get(url)
    thread.join()
