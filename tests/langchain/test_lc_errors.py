"""Errors belong to the core's tree and to LangChain's family, and tell no content."""

import copy
import inspect
import pickle
import traceback

import pytest
from langchain_core import exceptions as lc

from langchain_atoma import AtomaChatModel, RefusedAnswerError, UnparsableAnswerError
from langchain_atoma import errors as core
from langchain_atoma._errors import as_model_error, model_errors

CLASSES = [
    kind
    for kind in vars(core).values()
    if inspect.isclass(kind) and issubclass(kind, core.ConfidentialError)
]


@pytest.mark.parametrize("kind", CLASSES)
def test_every_class_joins_both_families(kind):
    error = kind("It failed.", core.Exposure.SEALED)
    error.indices = range(2, 4)
    twin = as_model_error(error)
    assert isinstance(twin, kind)
    parsing = kind is UnparsableAnswerError
    assert isinstance(twin, lc.OutputParserException if parsing else lc.ModelError)
    assert type(twin).__name__ == kind.__name__
    assert as_model_error(twin) is twin
    for copied in (twin, pickle.loads(pickle.dumps(twin)), copy.copy(twin)):
        assert type(copied) is type(twin)
        assert str(copied) == str(error)
        assert copied.exposure is core.Exposure.SEALED
        assert copied.indices == range(2, 4)
    # LangChain copies what stands there into traces.
    assert not hasattr(twin, "response")
    assert not hasattr(twin, "request_id")


@pytest.mark.parametrize(
    ("kind", "family", "retryable"),
    [
        (core.AuthenticationError, lc.ModelAuthenticationError, False),
        (core.MissingCredentialsError, lc.ModelAuthenticationError, False),
        (core.PermissionDeniedError, lc.ModelPermissionDeniedError, False),
        (core.BalanceError, lc.ModelPermissionDeniedError, False),
        (core.InvalidInputError, lc.ModelInvalidRequestError, False),
        (core.InvalidRequestError, lc.ModelInvalidRequestError, False),
        (core.ContextLengthError, lc.ContextOverflowError, False),
        (core.RequestTooLargeError, lc.ContextOverflowError, False),
        (core.PayloadTooLargeError, lc.ContextOverflowError, False),
        (core.NotFoundError, lc.ModelNotFoundError, False),
        (core.RateLimitError, lc.ModelRateLimitError, True),
        (core.NodeUnavailableError, lc.ModelAPIError, True),
        (core.StackLockedError, lc.ModelAPIError, True),
        (core.NodeFailureError, lc.ModelAPIError, True),
        (core.NodeKeyMissingError, lc.ModelError, False),
        (core.ConnectionFailedError, lc.ModelConnectionError, True),
        (core.ConnectionLostError, lc.ModelConnectionError, True),
        (core.StreamTruncatedError, lc.ModelConnectionError, True),
        (core.ReplyTimeoutError, lc.ModelTimeoutError, True),
        (core.StreamStalledError, lc.ModelTimeoutError, True),
        (core.EngineError, lc.ModelAPIError, True),
        (core.AttestationError, lc.ModelError, False),
        (core.ReflectionError, lc.ModelError, False),
        (core.NonceReuseError, lc.ModelError, False),
    ],
)
def test_what_frameworks_act_on(kind, family, retryable):
    twin = as_model_error(kind("It failed."))
    assert isinstance(twin, family)
    assert twin.is_retryable is retryable


def test_what_frameworks_read_from_an_error_is_there_and_empty():
    unparsable = as_model_error(UnparsableAnswerError("It does not fit."))
    assert unparsable.llm_output is unparsable.observation is None
    assert unparsable.send_to_llm is False
    assert as_model_error(RefusedAnswerError("It refused.")).raw_message is None


def test_a_converted_error_shows_one_traceback():
    def fail():
        raise core.RateLimitError("Busy.", core.Exposure.LOCK, 429)

    with pytest.raises(lc.ModelRateLimitError) as caught, model_errors():
        fail()
    printed = "".join(traceback.format_exception(caught.value))
    assert printed.count("Traceback") == 1
    assert "in fail" in printed
    assert caught.value.status == 429


def test_a_converted_error_holds_on_to_nothing_but_a_cause():
    def fail(cause):
        try:
            {}["a request with its headers"]
        except KeyError:
            raise core.RateLimitError("Busy.") from cause

    for cause in (None, ValueError("why")):
        with pytest.raises(core.RateLimitError) as caught, model_errors():
            fail(cause)
        assert caught.value.__cause__ is cause
        assert caught.value.__context__ is None


@pytest.mark.parametrize(
    ("fault", "kind", "family"),
    [
        ("lock-402", core.BalanceError, lc.ModelPermissionDeniedError),
        ("lock-503", core.NodeUnavailableError, lc.ModelAPIError),
        ("post-401", core.AuthenticationError, lc.ModelAuthenticationError),
        ("post-403", core.PermissionDeniedError, lc.ModelPermissionDeniedError),
        ("post-429", core.RateLimitError, lc.ModelRateLimitError),
        ("post-500-bad-request", core.InvalidRequestError, lc.ModelInvalidRequestError),
        ("tag-tampered", core.OpenError, lc.ModelError),
        ("reflection", core.ReflectionError, lc.ModelError),
        ("lock-key-zero", core.UnusableKeyError, lc.ModelError),
        ("engine-error-object", core.EngineError, lc.ModelAPIError),
    ],
)
async def test_over_http(atoma, make_chat, canary, fault, kind, family):
    atoma.faults.always(fault)
    model = make_chat(atoma, max_retries=0, stream_mode="buffered")
    with pytest.raises(kind) as caught:
        model.invoke(canary)
    assert isinstance(caught.value, family)
    assert canary not in "".join(traceback.format_exception(caught.value))
    with pytest.raises(kind):
        await model.ainvoke(canary)
    with pytest.raises(kind):
        [*model.stream(canary)]
    with pytest.raises(kind):
        [chunk async for chunk in model.astream(canary)]


@pytest.mark.clear_text
def test_a_prompt_that_is_too_long_for_a_plain_endpoint(atoma, make_chat):
    atoma.faults.always("post-400-context")
    model = make_chat(atoma, confidential=False)
    with pytest.raises(lc.ContextOverflowError) as caught:
        model.invoke("Hello there")
    assert isinstance(caught.value, core.ContextLengthError)
    assert caught.value.exposure is core.Exposure.PLAIN


def test_a_prompt_that_is_too_large_to_seal(atoma, make_chat, canary):
    with pytest.raises(lc.ContextOverflowError) as caught:
        make_chat(atoma).invoke(canary * 50_000)
    assert isinstance(caught.value, core.RequestTooLargeError)
    assert caught.value.exposure is core.Exposure.NOTHING
    assert atoma.exchanges == []


def test_retries_have_one_owner(atoma, make_chat, canary):
    atoma.faults.always("post-429-retry-after:0")
    with pytest.raises(lc.ModelRateLimitError):
        make_chat(atoma, max_retries=2).invoke(canary)
    posts = [e for e in atoma.exchanges if e.path.startswith("/v1/confidential/")]
    assert len(posts) == 3


def test_a_missing_key_names_the_variables():
    with pytest.raises(core.MissingCredentialsError, match="ATOMA_API_KEY") as caught:
        AtomaChatModel(model="m")
    assert isinstance(caught.value, lc.ModelAuthenticationError)


@pytest.mark.parametrize("name", ["", "  ", "\n"])
def test_a_model_without_a_name(make_chat, atoma, name):
    with pytest.raises(core.InvalidInputError, match="model is empty"):
        make_chat(atoma, model=name)
    with pytest.raises(core.InvalidInputError, match="model is empty"):
        make_chat(atoma).invoke("Hi", model=name or " ")


def test_settings_that_cannot_be_used(atoma, make_chat):
    with pytest.raises(core.InvalidInputError, match="use https"):
        make_chat(atoma, base_url="http://example.com")
    with pytest.raises(core.InvalidInputError, match="max_retries"):
        make_chat(atoma, max_retries=-1)
    with pytest.raises(core.InvalidInputError, match="timeout"):
        make_chat(atoma, timeout=0)


def test_a_parameter_that_the_api_does_not_know_is_the_engines(
    atoma, chat, make_chat, canary
):
    chat.invoke(canary, top_k=5)
    with pytest.warns(UserWarning, match="top_k"):
        model = make_chat(atoma, top_k=6, extra_body={"min_p": 0.5})
    model.invoke(canary)
    one, other = (opened.body for opened in atoma.opened)
    assert one["top_k"] == 5
    assert (other["top_k"], other["min_p"]) == (6, 0.5)
