"""The wiretap records every byte, finds what can be read, and adds nothing."""

import base64
import contextlib
import datetime as dt
import gzip
import json
import socket
import ssl
import threading

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from atoma_local import LocalAtoma, Wiretap
from atoma_local._relay import HostRewriter

MODEL = "meta-llama/Llama-3.3-70B-Instruct"
SECRET = "the heliotrope meadow at noon"

pytestmark = pytest.mark.clear_text


class Scripted:
    """A server that answers each request with the same bytes, and notes what came."""

    def __init__(self, answer, context=None):
        self.answer = answer
        self.seen = b""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._context = context
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self):
        with contextlib.suppress(OSError), self._listener.accept()[0] as plain:
            plain.settimeout(10)
            wrap = self._context.wrap_socket if self._context else lambda s, **_: s
            with wrap(plain, server_side=True) if self._context else plain as peer:
                while data := peer.recv(65536):
                    self.seen += data
                    if self.seen.endswith((b"\r\n\r\n", b"}")):
                        peer.sendall(self.answer)

    def close(self):
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()


@pytest.fixture
def scripted():
    started = []

    def start(answer, context=None):
        started.append(Scripted(answer, context))
        return started[-1]

    yield start
    for server in started:
        server.close()


def reply(body, *headers):
    length = f"Content-Length: {len(body)}"
    head = "\r\n".join(["HTTP/1.1 200 OK", length, *headers])
    return head.encode() + b"\r\n\r\n" + body


def get(server, **options):
    with Wiretap(f"http://127.0.0.1:{server.port}") as tap:
        text = httpx.get(f"{tap.base_url}/x", **options).text
    return tap, text


def test_records_what_crosses_and_changes_nothing(scripted):
    answer = reply(b"hello")
    server = scripted(answer)

    tap, text = get(server, headers={"X-Note": SECRET})

    assert text == "hello"
    assert tap.received == answer
    assert tap.sent == server.seen
    assert tap.sent.startswith(b"GET /x HTTP/1.1\r\n")
    [finding] = tap.find([SECRET])
    assert tap.sent[finding.offset :].startswith(SECRET.encode())
    assert finding.where == "sent on connection 0"


def test_what_is_cleared_is_forgotten_and_what_follows_is_recorded(scripted):
    server = scripted(reply(b"hello"))
    with (
        Wiretap(f"http://127.0.0.1:{server.port}") as tap,
        httpx.Client(base_url=tap.base_url) as client,
    ):
        client.get("/x", headers={"X-Note": SECRET})
        tap.clear()
        assert tap.find([SECRET]) == []

        client.get("/y", headers={"X-Note": SECRET})  # on the connection that stands
        assert [request.start_line for request in tap.requests] == ["GET /y HTTP/1.1"]
        assert tap.find([SECRET])


def test_connections_that_are_over_are_forgotten(scripted):
    tap, _ = get(scripted(reply(b"hello")))
    tap.clear()
    assert tap.connections == []


def test_finds_nothing_where_nothing_is(scripted):
    tap, _ = get(scripted(reply(b"hello")))
    assert tap.find([SECRET, "hello world"]) == []


def test_refuses_texts_that_match_by_chance(scripted):
    tap, _ = get(scripted(reply(b"hello")))
    with pytest.raises(ValueError, match="by chance"):
        tap.find(["hello"])


def chunked(*pieces):
    body = b"".join(b"%x\r\n%b\r\n" % (len(p), p) for p in pieces) + b"0\r\n\r\n"
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body


def test_looks_through_chunking(scripted):
    tap, text = get(scripted(chunked(SECRET[:9].encode(), SECRET[9:].encode())))

    assert text == SECRET
    assert {f.where for f in tap.find([SECRET])} == {"received on connection 0, body"}


def test_looks_through_compression(scripted):
    tap, text = get(
        scripted(reply(gzip.compress(SECRET.encode()), "Content-Encoding: gzip"))
    )
    assert text == SECRET
    assert any("decompressed" in f.where for f in tap.find([SECRET]))


def test_joins_a_stream_that_is_in_clear(scripted):
    events = [
        {"choices": [{"index": 0, "delta": {"content": word}}]}
        for word in ("the helio", "trope mea", "dow at noon")
    ]
    body = "".join(f"data: {json.dumps(event)}\n\n" for event in events) + "data: x\n\n"
    tap, _ = get(scripted(reply(body.encode(), "Content-Type: text/event-stream")))

    assert [f.where for f in tap.find([SECRET])] == [
        "received on connection 0, stream joined"
    ]


def test_finds_a_piece_of_a_long_text(scripted):
    long = " ".join(f"sentence {n} of a long document" for n in range(60))
    tap, _ = get(scripted(reply(long[:400].encode())))

    assert tap.find([long])


def test_names_a_text_by_its_place_and_not_by_its_words(scripted):
    tap, _ = get(scripted(reply(SECRET.encode())))
    [finding] = tap.find(["nothing of this", SECRET])

    assert finding.text == 1
    assert SECRET not in repr(finding)


def test_many_connections_are_kept_apart(atoma):
    with httpx.Client(base_url=atoma.base_url) as one:
        one.get("/health")
        with httpx.Client(base_url=atoma.base_url) as other:
            other.get("/health")

    assert len(atoma.tap.connections) == 2
    assert len(atoma.tap.requests) == len(atoma.tap.responses) == 2


def test_a_target_that_is_not_there_ends_the_connection():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with (
        Wiretap(f"http://127.0.0.1:{port}") as tap,
        pytest.raises(httpx.TransportError),
    ):
        httpx.get(tap.base_url)


@pytest.mark.parametrize("url", ["ftp://example.org", "example.org", "http://"])
def test_needs_an_origin(url):
    with pytest.raises(ValueError, match="origin"):
        Wiretap(url)


# -- in front of TLS -----------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


def test_speaks_tls_to_an_https_target_and_names_it(scripted, certificate):
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(certificate)
    server = scripted(reply(b"hello"), serving)
    trusting = ssl.create_default_context(cafile=certificate)

    with Wiretap(f"https://localhost:{server.port}", ssl_context=trusting) as tap:
        host = tap.base_url.removeprefix("http://")
        text = httpx.post(tap.base_url, json={"Host": "not this one"}).text

    assert text == "hello"
    assert tap.sent.replace(host.encode(), b"localhost:%d" % server.port) == server.seen


def test_trusts_no_strange_certificate(scripted, certificate):
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(certificate)
    server = scripted(reply(b"hello"), serving)

    with (
        Wiretap(f"https://localhost:{server.port}") as tap,
        pytest.raises(httpx.TransportError),
    ):
        httpx.post(tap.base_url, json={"secret": SECRET})

    assert SECRET.encode() not in server.seen


REQUESTS = (
    b"POST /a HTTP/1.1\r\nHost: tap:1\r\nContent-Length: 13\r\n\r\nHost: body\r\n\r"
    b"GET /b HTTP/1.1\r\nhost:tap:1\r\nAccept: */*\r\n\r\n"
)


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_rewrites_nothing_but_the_host_line(size):
    rewriter = HostRewriter(b"api.example")
    pieces = [REQUESTS[i : i + size] for i in range(0, len(REQUESTS), size)]

    expected = REQUESTS.replace(b"Host: tap:1", b"Host: api.example")
    expected = expected.replace(b"host:tap:1", b"Host: api.example")
    assert b"".join(map(rewriter.feed, pieces)) == expected


# -- the wire view -------------------------------------------------------------------


def test_sums_up_what_an_observer_can_tell(make_atoma, connect, no_plaintext):
    atoma = make_atoma()
    body = {"model": MODEL, "messages": [{"role": "user", "content": SECRET}]}
    sealed, answer = connect(atoma).ask(body)

    view = atoma.tap.view()

    path = "/v1/confidential/chat/completions"
    assert view.requests == {("POST", "/v1/nodes/lock"): 1, ("POST", path): 1}
    assert view.field_names("/v1/nodes/lock") == ("model",)
    assert view.field_names(path) == (
        "client_dh_public_key",
        "model_name",
        "node_dh_public_key",
        "nonce",
        "num_compute_units",
        "plaintext_body_hash",
        "salt",
        "stack_small_id",
        "stream",
    )
    raw = base64.b64decode(sealed.envelope["ciphertext"])
    assert view.sealed_bytes_sent == len(raw)
    raw = base64.b64decode(answer.json()["ciphertext"])
    assert view.sealed_bytes_received == len(raw)
    assert "authorization" in view.header_names
    examples = {(f.path, f.name): f.example for f in view.clear_fields}
    assert examples[path, "model_name"] == MODEL
    assert examples[path, "salt"] == "(random or derived)"
    responses = [f for f in view.clear_fields if f.direction == "response"]
    assert {(f.path, f.name) for f in responses} >= {
        ("/v1/nodes/lock", "public_key"),
        (path, "usage.total_tokens"),
    }


def test_shows_no_value_that_may_be_secret(make_atoma, connect):
    atoma = make_atoma()
    body = {"model": MODEL, "messages": [{"role": "user", "content": SECRET}]}
    connect(atoma).http.post("/v1/chat/completions", json=body)

    view = atoma.tap.view()

    assert SECRET not in repr(view)
    assert "messages[].content" in view.field_names("/v1/chat/completions")
    assert view.sealed_bytes_sent == 0


def test_the_tap_of_a_local_atoma_is_in_front_of_it():
    with LocalAtoma(wiretap=True) as atoma:
        assert atoma.base_url == atoma.tap.base_url
        httpx.get(f"{atoma.base_url}/health")
    assert b"GET /health" in atoma.tap.sent
