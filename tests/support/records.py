"""A policy that fetches, and a server that answers it however a test likes."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from shells import SECRET

from atoma_confidential import (
    AttestationResult,
    EvidenceUnavailableError,
    Exposure,
    KeyNotBoundError,
    TrustPolicy,
)
from atoma_confidential.attestation import Assurance
from atoma_confidential.attestation.policy import Fetch
from atoma_confidential.attestation.result import NEVER_PROVEN

RECORD = "/v1/get_node_attestation/{}"


class RecordedKey(TrustPolicy):
    """Accepts the key that stands, as it is, in the node's attestation record."""

    name = "recorded_key"

    def __init__(self, *, seconds=None, url=RECORD, body=None, headers=None):
        self.seconds = seconds
        self.fetch = {"url": url, "body": body, "headers": headers or {}}
        self.after_fetch = lambda: None

    @property
    def identity(self):
        return f"{self.name}:{id(self)}"

    def appraise(self, candidate, *, now):
        url = self.fetch["url"].format(candidate.node)
        fetched = yield Fetch(**(self.fetch | {"url": url}))
        self.after_fetch()
        self.check(fetched, candidate)
        return AttestationResult(
            key=candidate.recipient.fingerprint,
            node=candidate.node,
            policy=self.name,
            assurance=Assurance.GPU_WITNESSED,
            not_proven=NEVER_PROVEN,
            verified_at=now,
            expires_at=None if self.seconds is None else now + self.seconds,
        )

    def check(self, fetched, candidate):
        if fetched.status != 200:
            raise EvidenceUnavailableError(f"The record answered {fetched.status}.")
        recorded = bytes(json.loads(fetched.body)["compressed_evidence"])
        if recorded != candidate.recipient.public_key:
            raise KeyNotBoundError("The record is of another key.")


class RecordServer:
    """Answers each request with a status, header fields and a body of its own.

    With a status of None it says nothing until the test is over.
    """

    def __init__(self, status=200, body=b"{}", **headers):
        self.answer = status, headers, body
        self.seen = []
        self._over = threading.Event()
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                server.respond(self)

            do_POST = do_CONNECT = do_GET  # noqa: N815 - the names of http.server

            def log_message(self, *_args):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    def respond(self, handler):
        length = int(handler.headers.get("content-length", 0))
        fields = {name.lower(): value for name, value in handler.headers.items()}
        body = handler.rfile.read(length)
        self.seen.append((handler.command, handler.path, fields, body))
        status, headers, answer = self.answer
        if status is None:
            self._over.wait(10)
            return
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(answer)))
        handler.end_headers()
        handler.wfile.write(answer)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_error):
        self._over.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def with_record(atoma, policy, **settings):
    return {"trust": policy, "attestation_url": atoma.base_url, **settings}


def refused(shell, error):
    """Return the refusal of a chat; nothing was sealed for it."""
    with pytest.raises(error) as caught:
        shell.chat()
    assert type(caught.value) is error
    assert caught.value.exposure is Exposure.LOCK
    assert SECRET not in str(caught.value)
    return caught.value
