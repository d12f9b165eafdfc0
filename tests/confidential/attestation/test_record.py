"""The record that the network keeps of a node's evidence."""

import pytest
from appraisal import json_answer, record
from hypothesis import given
from hypothesis import strategies as st

from atoma_confidential.attestation.policy import Fetched
from atoma_confidential.attestation.record import read_record, record_request
from atoma_confidential.errors import EvidenceFormatError, EvidenceUnavailableError

EVIDENCE = bytes(range(256))


def test_the_record_is_asked_for_by_the_nodes_number():
    fetch = record_request(42)
    assert (fetch.url, fetch.body) == ("/v1/get_node_attestation/42", None)


@pytest.mark.parametrize("name", ["compressed_evidence", "attestation"])
def test_both_names_of_the_field_are_read(name):
    assert read_record(record(EVIDENCE, 42, name), node=42) == EVIDENCE


@pytest.mark.parametrize("status", [404, 500, 401, 204, 302])
def test_no_record_is_never_a_success(status):
    answer = Fetched(status, record(EVIDENCE, 42).body)
    with pytest.raises(EvidenceUnavailableError):
        read_record(answer, node=42)


@pytest.mark.parametrize(
    "fields",
    [
        {"node_small_id": 43, "compressed_evidence": [1]},
        {"node_small_id": "42", "compressed_evidence": [1]},
        {"node_small_id": 42.0, "compressed_evidence": [1]},
        {"compressed_evidence": [1]},
        {"node_small_id": 42},
        {"node_small_id": 42, "compressed_evidence": [1], "attestation": [1]},
        {"node_small_id": 42, "compressed_evidence": []},
        {"node_small_id": 42, "compressed_evidence": "AQ=="},
        {"node_small_id": 42, "compressed_evidence": [256]},
        {"node_small_id": 42, "compressed_evidence": [-1]},
        {"node_small_id": 42, "compressed_evidence": [1.0]},
        {"node_small_id": 42, "compressed_evidence": [True]},
        {"node_small_id": 42, "compressed_evidence": [None]},
        [],
        None,
    ],
)
def test_a_record_off_its_format_is_refused(fields):
    with pytest.raises(EvidenceFormatError):
        read_record(json_answer(fields), node=42)


def test_a_record_that_is_too_large_is_refused():
    body = record(EVIDENCE, 42).body.ljust((1 << 20) + 1)
    with pytest.raises(EvidenceFormatError, match="too large"):
        read_record(Fetched(200, body), node=42)


@pytest.mark.parametrize("depth", [900, 100_000])
def test_deep_nesting_is_refused(depth):
    nested = b"[" * depth + rb'"\ud800"' + b"]" * depth
    body = b'{"node_small_id":42,"compressed_evidence":' + nested + b"}"
    with pytest.raises(EvidenceFormatError):
        read_record(Fetched(200, body), node=42)


def test_every_proper_prefix_is_refused():
    body = record(b"\x78\x9c", 42).body
    for length in range(len(body)):
        with pytest.raises(EvidenceFormatError):
            read_record(Fetched(200, body[:length]), node=42)


@given(st.binary(max_size=100))
def test_noise_is_refused(noise):
    with pytest.raises(EvidenceFormatError):
        read_record(Fetched(200, noise), node=42)


@given(
    st.fixed_dictionaries(
        {"node_small_id": st.just(42)},
        optional={
            name: st.recursive(
                st.none() | st.booleans() | st.integers(-9, 999) | st.text(max_size=4),
                lambda inner: st.lists(inner, max_size=4),
                max_leaves=6,
            )
            for name in ("compressed_evidence", "attestation")
        },
    )
)
def test_any_other_record_is_read_or_refused(fields):
    try:
        evidence = read_record(json_answer(fields), node=42)
    except EvidenceFormatError:
        return
    assert list(evidence) in fields.values()
