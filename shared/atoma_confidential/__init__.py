"""Chat and embeddings that leave the process only sealed to an Atoma node's key.

    from atoma_confidential import Client

    with Client() as client:
        reply = client.chat([{"role": "user", "content": "Hello"}], model="…")
        print(reply.body["choices"][0]["message"]["content"], reply.verdict)

What this protects, and what it cannot, is in docs/threat-model.md. Errors are here at
once; all else is loaded when it is first used, HTTP and cryptography with it.
"""

from typing import TYPE_CHECKING

from ._lazy import lazy
from .errors import (
    AnswerCutError,
    AttestationError,
    AuthenticationError,
    BalanceError,
    CacheEntryError,
    CacheSecretError,
    ChainRejectedError,
    ClientClosedError,
    ConcurrentPurchaseError,
    ConfidentialError,
    ConfidentialityWarning,
    ConnectionFailedError,
    ConnectionLostError,
    ContextLengthError,
    DeviceNotAllowedError,
    DigestMismatchError,
    EngineError,
    EvidenceFormatError,
    EvidenceRejectedError,
    EvidenceSignatureError,
    EvidenceUnavailableError,
    Exposure,
    FirmwareIdMismatchError,
    InvalidInputError,
    InvalidRequestError,
    KeyNotBoundError,
    MeasurementMismatchError,
    MissingCredentialsError,
    MissingEvidenceSourceError,
    NodeFailureError,
    NodeKeyMissingError,
    NodeUnavailableError,
    NonceReuseError,
    NotFoundError,
    OpenError,
    PayloadTooLargeError,
    PermissionDeniedError,
    PinFileError,
    PinMismatchError,
    PlaintextEgressError,
    PlaintextEgressWarning,
    RateLimitError,
    ReceiptError,
    ReflectionError,
    RefusedAnswerError,
    RemoteProtocolError,
    ReplyTimeoutError,
    RequestTooLargeError,
    ServerError,
    StackLockedError,
    StackNotIndexedError,
    StackUnavailableError,
    StatusError,
    StreamStalledError,
    StreamTruncatedError,
    TruncatedAnswerError,
    UnparsableAnswerError,
    UnusableKeyError,
    VectorMismatchError,
    VerifierUnavailableError,
)

if TYPE_CHECKING:
    from ._settings import ClientSettings
    from ._wire import Model
    from .async_client import AsyncClient
    from .attestation import AttestationResult, SuiContract, TrustPolicy
    from .cache_secret import CacheSecret
    from .client import Client
    from .envelope import Envelope, Opener, Recipient, seal
    from .explain import Crossing, Explanation
    from .parameters import (
        ChatParameters,
        EmbeddingParameters,
        SignatureMode,
        StreamMode,
    )
    from .pin_file import PinFile
    from .receipt import Receipt
    from .replies import ChatReply, EmbeddingReply
    from .retry import RetryPolicy
    from .streams import AsyncChatStream, ChatStream
    from .verdict import Verdict

__all__ = [
    "AnswerCutError",
    "AsyncChatStream",
    "AsyncClient",
    "AttestationError",
    "AttestationResult",
    "AuthenticationError",
    "BalanceError",
    "CacheEntryError",
    "CacheSecret",
    "CacheSecretError",
    "ChainRejectedError",
    "ChatParameters",
    "ChatReply",
    "ChatStream",
    "Client",
    "ClientClosedError",
    "ClientSettings",
    "ConcurrentPurchaseError",
    "ConfidentialError",
    "ConfidentialityWarning",
    "ConnectionFailedError",
    "ConnectionLostError",
    "ContextLengthError",
    "Crossing",
    "DeviceNotAllowedError",
    "DigestMismatchError",
    "EmbeddingParameters",
    "EmbeddingReply",
    "EngineError",
    "Envelope",
    "EvidenceFormatError",
    "EvidenceRejectedError",
    "EvidenceSignatureError",
    "EvidenceUnavailableError",
    "Explanation",
    "Exposure",
    "FirmwareIdMismatchError",
    "InvalidInputError",
    "InvalidRequestError",
    "KeyNotBoundError",
    "MeasurementMismatchError",
    "MissingCredentialsError",
    "MissingEvidenceSourceError",
    "Model",
    "NodeFailureError",
    "NodeKeyMissingError",
    "NodeUnavailableError",
    "NonceReuseError",
    "NotFoundError",
    "OpenError",
    "Opener",
    "PayloadTooLargeError",
    "PermissionDeniedError",
    "PinFile",
    "PinFileError",
    "PinMismatchError",
    "PlaintextEgressError",
    "PlaintextEgressWarning",
    "RateLimitError",
    "Receipt",
    "ReceiptError",
    "Recipient",
    "ReflectionError",
    "RefusedAnswerError",
    "RemoteProtocolError",
    "ReplyTimeoutError",
    "RequestTooLargeError",
    "RetryPolicy",
    "ServerError",
    "SignatureMode",
    "StackLockedError",
    "StackNotIndexedError",
    "StackUnavailableError",
    "StatusError",
    "StreamMode",
    "StreamStalledError",
    "StreamTruncatedError",
    "SuiContract",
    "TruncatedAnswerError",
    "TrustPolicy",
    "UnparsableAnswerError",
    "UnusableKeyError",
    "VectorMismatchError",
    "Verdict",
    "VerifierUnavailableError",
    "seal",
]

__getattr__ = lazy(
    __name__,
    {
        "_settings": ["ClientSettings"],
        "_wire": ["Model"],
        "async_client": ["AsyncClient"],
        "attestation": ["AttestationResult", "SuiContract", "TrustPolicy"],
        "cache_secret": ["CacheSecret"],
        "client": ["Client"],
        "explain": ["Crossing", "Explanation"],
        "envelope": ["Envelope", "Opener", "Recipient", "seal"],
        "receipt": ["Receipt"],
        "pin_file": ["PinFile"],
        "parameters": [
            "ChatParameters",
            "EmbeddingParameters",
            "SignatureMode",
            "StreamMode",
        ],
        "replies": ["ChatReply", "EmbeddingReply"],
        "retry": ["RetryPolicy"],
        "streams": ["AsyncChatStream", "ChatStream"],
        "verdict": ["Verdict"],
    },
)


def __dir__() -> list[str]:
    return __all__
