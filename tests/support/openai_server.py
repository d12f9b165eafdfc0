"""An OpenAI-compatible server in clear, with the engine of the local Atoma behind it.

It sends usage with a stream to whoever asks for it, and `[DONE]`, as OpenAI does.
"""

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from atoma_local import BuiltInBackend

ENGINE = BuiltInBackend()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        head = {"object": "model", "created": 1686935002, "owned_by": "atoma"}
        data = [{"id": name, **head} for name in ENGINE.models()]
        self._reply(_encoded({"object": "list", "data": data}))

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.path == "/v1/embeddings":
            self._reply(_encoded(ENGINE.embed(body)))
        elif not body.get("stream"):
            self._reply(_encoded(ENGINE.chat(body)))
        else:
            chunks = [*map(_encoded, ENGINE.stream_chat(body)), b"[DONE]"]
            events = b"".join(b"data: " + chunk + b"\n\n" for chunk in chunks)
            self._reply(events, "text/event-stream")

    def _reply(self, body, kind="application/json"):
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def _encoded(value):
    return json.dumps(value).encode()


@contextmanager
def openai_server():
    """Serve on loopback; gives the base URL, with `/v1`."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/v1"
        finally:
            server.shutdown()
            thread.join()
