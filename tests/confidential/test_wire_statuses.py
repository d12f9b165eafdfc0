"""Which error a status and its body are, and how long it says to wait."""

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from atoma_confidential import _wire, errors
from atoma_confidential.errors import Exposure, StatusError


def status_error(status, body=b"", headers=(), **options):
    return _wire.status_error(
        status, dict(headers), body, exposure=Exposure.SEALED, **options
    )


# --- statuses -----------------------------------------------------------------------


def proxy_body(message, code="INTERNAL_ERROR"):
    return json.dumps({"error": {"code": code, "message": message}}).encode()


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, b"bad syntax", errors.InvalidRequestError),
        (401, b"", errors.AuthenticationError),
        (402, b"", errors.BalanceError),
        (403, b"", errors.PermissionDeniedError),
        (404, b"", errors.NotFoundError),
        (405, b"", errors.NotFoundError),
        (413, b"too large", errors.PayloadTooLargeError),
        (415, b"", errors.InvalidRequestError),
        (422, b"missing field", errors.InvalidRequestError),
        (423, b"", errors.StackLockedError),
        (425, b"", errors.StackUnavailableError),
        (429, b"", errors.RateLimitError),
        (503, b"", errors.NodeUnavailableError),
        (500, b"", errors.ServerError),
        (502, b"<html>", errors.ServerError),
        (504, b"", errors.ServerError),
        (418, b"", errors.ServerError),
        (400, proxy_body("x", "FIAT_PAYMENTS_ONLY"), errors.BalanceError),
        (
            400,
            proxy_body("Request error: Unsupported endpoint: /v1/nodes/lock"),
            errors.ConcurrentPurchaseError,
        ),
        (
            400,
            proxy_body("Many concurrent requests, a stack is being bought, wait"),
            errors.ConcurrentPurchaseError,
        ),
        (
            400,
            proxy_body("too long", "context_length_exceeded"),
            errors.ContextLengthError,
        ),
        (400, proxy_body("Maximum context exceeded"), errors.ContextLengthError),
        (422, proxy_body("Too many tokens"), errors.ContextLengthError),
        (401, proxy_body("Too many tokens"), errors.AuthenticationError),
        (500, proxy_body("Bad Request"), errors.InvalidRequestError),
        (500, proxy_body("Bad Request indeed"), errors.ServerError),
        (
            500,
            proxy_body("Node public key not found for x"),
            errors.NodeKeyMissingError,
        ),
        (
            500,
            proxy_body("Inference service returned status code error 503 x"),
            errors.NodeFailureError,
        ),
        (
            500,
            proxy_body("Failed to connect to the node"),
            errors.NodeFailureError,
        ),
        (
            500,
            proxy_body("Invalid response from inference service"),
            errors.NodeFailureError,
        ),
        (
            502,
            proxy_body("Failed to connect to the node"),
            errors.ServerError,
        ),
    ],
)
def test_a_status_and_its_text_choose_the_class(status, body, kind):
    error = status_error(status, body)
    assert type(error) is kind
    assert error.status == status
    assert error.exposure is Exposure.SEALED


def test_a_bad_request_after_a_purchase_is_a_stack_not_yet_known():
    body = proxy_body("Bad Request")
    error = status_error(500, body, purchased=True)
    assert type(error) is errors.StackNotIndexedError


def test_the_code_is_kept_and_the_text_is_not():
    error = status_error(500, proxy_body("you sent: canary", "INTERNAL_ERROR"))
    assert error.code == "INTERNAL_ERROR"
    assert "(INTERNAL_ERROR)" in str(error)
    assert "canary" not in f"{error}{error.args}{vars(error)}"


@pytest.mark.parametrize(
    "code", ["", "x" * 41, "you sent: canary", "a\nb", "hunter2_correct_horse"]
)
def test_a_code_that_is_none_is_dropped(code):
    error = status_error(400, proxy_body("message", code))
    assert error.code == ""
    assert "()" not in str(error)


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"message": "maximum context", "code": None}},
        {"error": {"message": "maximum context"}},
    ],
)
def test_an_error_object_without_a_code_still_chooses_the_class(body):
    error = status_error(400, json.dumps(body).encode())
    assert type(error) is errors.ContextLengthError
    assert error.code == ""


@pytest.mark.parametrize("body", [{"error": "x"}, {"detail": "x"}, {"error": {}}, {}])
def test_another_error_object_is_no_obstacle(body):
    assert type(status_error(400, json.dumps(body).encode())) is (
        errors.InvalidRequestError
    )


@given(st.integers(100, 999).filter(lambda status: status != 200), st.binary())
def test_any_status_with_any_body_is_one_of_our_errors(status, body):
    assert isinstance(status_error(status, body), StatusError)


# --- Retry-After --------------------------------------------------------------------

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def retry_after(value, date=None):
    headers = {"retry-after": value} | ({"date": date} if date is not None else {})
    return status_error(429, headers=headers).retry_after


@pytest.mark.parametrize(
    ("value", "seconds"), [("0", 0.0), ("7", 7.0), (" 2.5 ", 2.5), ("120", 120.0)]
)
def test_seconds_are_read(value, seconds):
    assert retry_after(value) == seconds


@given(st.integers(0, 10**6))
def test_a_date_is_read_against_the_servers_own(seconds):
    until = format_datetime(NOW + timedelta(seconds=seconds), usegmt=True)
    assert retry_after(until, format_datetime(NOW, usegmt=True)) == seconds


def test_a_date_in_the_past_means_now():
    past = format_datetime(NOW - timedelta(hours=1), usegmt=True)
    assert retry_after(past, format_datetime(NOW, usegmt=True)) == 0.0


@pytest.mark.parametrize(
    "value", ["", "-1", "soon", "1e3", "inf", "nan", "٣", "1" * 10, "1 2", "."]
)
def test_what_is_neither_seconds_nor_a_date_says_nothing(value):
    assert retry_after(value, format_datetime(NOW, usegmt=True)) is None


@pytest.mark.parametrize("date", [None, "", "today", "Fri, 02 Jan 2026 03:04:05 -0000"])
def test_a_date_without_the_servers_own_says_nothing(date):
    assert retry_after(format_datetime(NOW, usegmt=True), date) is None


@given(
    st.text(alphabet="0123456789 +-:,.", max_size=30),
    st.sampled_from(["", "Fri, 02 Jan 2026 03:04:05 "]),
)
@example("+99999999999999999", "Fri, 02 Jan 2026 03:04:05 ")
def test_no_date_breaks_the_reading(text, before):
    seconds = retry_after(before + text, format_datetime(NOW, usegmt=True))
    assert seconds is None or seconds >= 0.0


def test_without_the_field_nothing_is_said():
    assert status_error(429).retry_after is None
