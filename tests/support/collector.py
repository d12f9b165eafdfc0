"""A tracing service on this machine: an HTTP server that keeps what it is sent.

It speaks as much of LangSmith's wire as its client needs to send runs.
"""

import http.server
import json
import threading

_INFO = {
    "version": "0.12.0",
    # Runs then come as plain JSON, which can be read.
    "batch_ingest_config": {
        "use_multipart_endpoint": False,
        "scale_up_qsize_trigger": 1000,
        "scale_up_nthreads_limit": 1,
        "scale_down_nempty_trigger": 4,
        "size_limit": 100,
        "size_limit_bytes": 20_000_000,
    },
}


class Collector:
    """Keeps the bodies of all requests but those for its own information.

    Attributes:
        bodies: What was sent, in order.
    """

    def __init__(self):
        self.bodies = []
        self._server = http.server.ThreadingHTTPServer(
            ("127.0.0.1", 0), type("Handler", (_Handler,), {"bodies": self.bodies})
        )
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    @property
    def url(self):
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_exc):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def runs(self):
        """Every run that was told of, and again each time it was told of."""
        bodies = map(json.loads, self.bodies)
        return [
            run
            for body in bodies
            for run in (*body.get("post", ()), *body.get("patch", ()))
        ]

    @property
    def kinds(self):
        return {run["run_type"] for run in self.runs if "run_type" in run}

    @property
    def errors(self):
        return [run["error"] for run in self.runs if run.get("error")]

    def has(self, text):
        # As it stands, and as JSON within JSON would have it.
        return any(text.encode() in body for body in self.bodies)


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self._answer(_INFO)

    def do_POST(self):
        self.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        self._answer({})

    do_PATCH = do_POST  # noqa: N815 - the base class's name

    def _answer(self, body):
        data = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args):
        """Say nothing on the console."""
