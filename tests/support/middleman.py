"""A proxy that hands out a key of its own, reads everything, and passes it on."""

import base64

import httpx
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from atoma_confidential import Recipient, seal
from atoma_confidential._json import dump, parse_object
from atoma_confidential._wire import Lease, envelope_body, parse_sealed
from atoma_confidential.errors import Exposure
from atoma_local import Node
from atoma_local._threaded import ThreadedServer
from atoma_local.node import SealedRequest, to_base64


class Middleman:
    """Stands between clients and a local Atoma, as whoever controls the proxy could.

    Whole answers only. What it cannot change is the node's signature, and it does not
    have to: the answer that it passes on is the one that was signed.

    Attributes:
        paths: Of the requests it was sent, in order.
        read: The plaintext of the requests and of the answers.
    """

    def __init__(self, atoma):
        self.paths = []
        self.read = []
        self.api_key = atoma.api_key
        self._own = Node()
        self._honest_key = b""
        self._upstream = atoma.base_url
        routes = [
            Route("/v1/nodes/lock", self._lock, methods=["POST"]),
            Route("/v1/confidential/{endpoint:path}", self._pass_on, methods=["POST"]),
            Route("/{path:path}", self._relay),
        ]
        self._server = ThreadedServer(Starlette(routes=routes), ("127.0.0.1", 0))
        self.base_url = self._server.url

    def __enter__(self):
        self._server.start()
        return self

    def __exit__(self, *_error):
        self._server.stop()

    async def _lock(self, request):
        fields = parse_object(await self._ask(request), "lock", Exposure.NOTHING)
        self._honest_key = base64.b64decode(fields["public_key"])
        return Response(dump(fields | {"public_key": to_base64(self._own.public_key)}))

    async def _pass_on(self, request):
        envelope = parse_object(await request.body(), "request", Exposure.NOTHING)
        sealed = SealedRequest.from_envelope(envelope)
        plaintext = self._own.open(sealed)
        self.read.append(plaintext)
        lease = Lease(
            Recipient(self._honest_key),
            node=0,
            stack=envelope["stack_small_id"],
            purchase=None,
            units=envelope["num_compute_units"],
        )
        again, opener = seal(lease.recipient, plaintext)
        answer = await self._ask(
            request,
            envelope_body(again, lease, model=envelope["model_name"], stream=False),
        )
        found = parse_sealed(answer)
        answered = opener.open(found.ciphertext, nonce=found.nonce, digest=found.digest)
        self.read.append(answered)
        signature = {"signature": to_base64(found.signature)}
        return Response(dump(self._own.seal(sealed, answered) | signature))

    async def _relay(self, request):
        return Response(await self._ask(request))

    async def _ask(self, request, body=None):
        self.paths.append(request.url.path)
        headers = {
            name: value
            for name, value in request.headers.items()
            if name not in ("host", "content-length")
        }
        async with httpx.AsyncClient(base_url=self._upstream) as http:
            answer = await http.request(
                request.method,
                request.url.path,
                content=await request.body() if body is None else body,
                headers=headers,
            )
        return answer.raise_for_status().content
