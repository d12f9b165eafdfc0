"""Drives a policy against a network of one's own, without any network."""

import json
from dataclasses import dataclass, field

from silicon import NOW

from atoma_confidential import Recipient
from atoma_confidential.attestation.evidence import report_nonce
from atoma_confidential.attestation.policy import Candidate, Fetched

KEY = bytes(range(32))
NONCE = report_nonce(7, KEY)
NODE = 42


def appraise(policy, serve, *, key=KEY, node=NODE, now=NOW):
    """Return the result of a policy; `serve` answers or raises for each Fetch."""
    steps = policy.appraise(Candidate(Recipient(key), node), now=now)
    try:
        fetch = next(steps)
        while True:
            try:
                answer = serve(fetch)
            except Exception as error:  # noqa: BLE001 - thrown in, as the shells do
                fetch = steps.throw(error)
            else:
                fetch = steps.send(answer)
    except StopIteration as stop:
        return stop.value


def json_answer(value, status=200):
    return Fetched(status, json.dumps(value).encode())


def record(evidence, node=NODE, name="compressed_evidence"):
    return json_answer({"node_small_id": node, name: list(evidence)})


@dataclass
class Chain:
    """A contract, as Sui's JSON-RPC shows it, and the records beside it."""

    nonce: int = 7
    counter: int = 3
    evidence: bytes = b""
    events: list = field(default_factory=list)
    asked: list = field(default_factory=list)

    url = "https://rpc.example/key"
    database = "0x" + "db" * 32
    package = "0x" + "0" * 62 + "a7"

    def commit(self, evidence, *, key=KEY, node=NODE, counter=3, **changes):
        fields = {
            "epoch": "1",
            "key_rotation_counter": str(counter),
            "node_id": {"inner": str(node)},
            "new_public_key": list(key),
            "device_type": 300,
            "evidence_bytes": list(evidence),
        }
        self.events.insert(0, fields | changes)

    def __call__(self, fetch):
        self.asked.append(fetch)
        if fetch.url != self.url:
            node = int(fetch.url.removeprefix("/v1/get_node_attestation/"))
            return record(self.evidence, node)
        call = json.loads(fetch.body)
        reply = getattr(self, call["method"].partition("_")[2])(*call["params"])
        return json_answer({"jsonrpc": "2.0", "id": call["id"], "result": reply})

    def getObject(self, object_id, _options):  # noqa: N802 - the name of the call
        content = {
            "dataType": "moveObject",
            "type": f"{self.package}::db::AtomaDb",
            "fields": {
                "nonce": str(self.nonce),
                "key_rotation_counter": str(self.counter),
            },
        }
        return {"data": {"objectId": object_id, "content": content}}

    def queryEvents(self, query, cursor, limit, descending):  # noqa: N802
        assert descending is True
        kind = query["MoveEventType"]
        events = self.events
        if kind.endswith("NewKeyRotationEvent"):
            rotation = {"nonce": self.nonce, "key_rotation_counter": self.counter}
            events = [{name: str(value) for name, value in rotation.items()}]
        start = cursor or 0
        page = events[start : start + limit]
        return {
            "data": [{"type": kind, "parsedJson": fields} for fields in page],
            "nextCursor": start + limit,
            "hasNextPage": start + limit < len(events),
        }
