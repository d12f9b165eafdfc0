"""The record that the network's credentials service keeps of a node's evidence.

The request and the reading of its answer; what the evidence is worth is for others.
Many nodes have no record at all (protocol 2.2): that is never a success.
"""

from __future__ import annotations

from atoma_confidential.errors import EvidenceFormatError, EvidenceUnavailableError

from ._document import byte_array, json_object
from .policy import Fetch, Fetched

__all__ = ["read_record", "record_request"]

_OK, _NOT_FOUND = 200, 404
_FIELDS = ("compressed_evidence", "attestation")
"""As the service calls it, and as its published description does."""


def record_request(node: int) -> Fetch:
    """Return the request for a node's evidence."""
    return Fetch(f"/v1/get_node_attestation/{node}")


def read_record(answer: Fetched, *, node: int) -> bytes:
    """Return the compressed evidence of a node.

    Raises:
        EvidenceUnavailableError: The node has none, or the service does not answer.
        EvidenceFormatError: The answer is not such a record, or that of another node.
    """
    if answer.status == _NOT_FOUND:
        raise EvidenceUnavailableError("It has published no evidence.")
    if answer.status != _OK:
        raise EvidenceUnavailableError(
            f"The service that keeps its evidence answered {answer.status}."
        )
    fields = json_object(answer.body, "The attestation record")
    if type(fields.get("node_small_id")) is not int or fields["node_small_id"] != node:
        raise EvidenceFormatError("The attestation record is that of another node.")
    found = [fields[name] for name in _FIELDS if name in fields]
    evidence = byte_array(found[0]) if len(found) == 1 else None
    if not evidence:
        raise EvidenceFormatError("The attestation record holds no evidence.")
    return evidence
