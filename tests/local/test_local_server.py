"""Starting, stopping, and serving until interrupted."""

import os
import signal
import socket
import subprocess
import sys
import threading

import httpx
import pytest

from atoma_local import BuiltInBackend, Faults, LocalAtoma

MODEL = "meta-llama/Llama-3.3-70B-Instruct"


def threads():
    return {thread for thread in threading.enumerate() if thread.is_alive()}


def test_stops_without_a_trace():
    before = threads()
    with LocalAtoma(wiretap=True) as atoma:
        assert httpx.get(f"{atoma.base_url}/health").status_code == 200
        assert len(threads()) == len(before) + 2
        port = int(atoma.base_url.rpartition(":")[2])

    assert threads() == before
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{port}/health")


def test_stops_while_a_client_is_connected():
    with LocalAtoma() as atoma, httpx.Client(base_url=atoma.base_url) as http:
        assert http.get("/health").status_code == 200
        atoma.__exit__(None, None, None)


def test_stops_in_the_middle_of_a_stream(connect, no_plaintext):
    no_plaintext("the heliotrope meadow")
    messages = [{"role": "user", "content": "the heliotrope meadow"}]
    body = {"model": MODEL, "messages": messages, "stream": True}
    with LocalAtoma(faults=Faults("stream-stalled:1"), wiretap=True) as atoma:
        wire = connect(atoma)
        reply = wire.http.send(wire.http.build_request("GET", "/health"), stream=True)
        reply.close()
        sealed = wire.seal(body, stream=True)
        stalled = wire.streaming(sealed)
        stalled.__enter__()
    stalled.__exit__(None, None, None)


def test_several_run_side_by_side():
    with LocalAtoma() as one, LocalAtoma() as other:
        assert one.base_url != other.base_url
        assert one.api_key != other.api_key
        assert one.node_public_key != other.node_public_key


def test_listens_where_it_is_told():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with LocalAtoma(port=port) as atoma:
        assert atoma.base_url == f"http://127.0.0.1:{port}"
        with pytest.raises(OSError, match="in use"), LocalAtoma(port=port):
            pass


class Closing(BuiltInBackend):
    closed = False

    async def aclose(self):
        self.closed = True


def test_closes_its_backend():
    backend = Closing()
    with LocalAtoma(backend=backend):
        assert not backend.closed
    assert backend.closed


def test_answers_do_not_wait_for_an_acknowledgement():
    # Nagle's algorithm would hold the second segment of each answer back.
    with LocalAtoma() as atoma:
        listener = atoma._server._listener
        assert listener.proto == socket.IPPROTO_TCP


SERVE = """
from atoma_local import LocalAtoma, serve
serve(port=0, atoma=LocalAtoma())
"""


def test_serves_until_interrupted():
    with subprocess.Popen(  # noqa: S603  our own module
        [sys.executable, "-W", "error", "-c", SERVE],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=dict(os.environ),
    ) as process:
        lines = [process.stdout.readline().strip() for _ in range(2)]
        settings = dict(line.split("=", 1) for line in lines)
        reply = httpx.get(
            f"{settings['ATOMA_BASE_URL']}/v1/models",
            headers={"Authorization": f"Bearer {settings['ATOMA_API_KEY']}"},
        )
        assert reply.status_code == 200

        process.send_signal(signal.SIGINT)
        rest, said = process.communicate(timeout=20)

    assert list(settings) == ["ATOMA_BASE_URL", "ATOMA_API_KEY"]
    assert rest == ""
    assert "It is not a TEE" in said
    assert "Traceback" not in said
    assert process.returncode == 0
