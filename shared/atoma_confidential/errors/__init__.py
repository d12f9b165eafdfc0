"""Every exception of this package, and what had left the process when it was raised.

* ConfidentialError
  - InvalidInputError            refused before anything was sent
    + MissingCredentialsError
    + RequestTooLargeError
  - PlaintextEgressError         the framework would write plaintext elsewhere
  - AttestationError             the policy refused a node's key
    + UnusableKeyError
    + EvidenceUnavailableError   could not check
      > MissingEvidenceSourceError
    + VerifierUnavailableError   likewise
    + EvidenceFormatError
    + EvidenceRejectedError
      > ChainRejectedError
      > EvidenceSignatureError
      > FirmwareIdMismatchError
      > KeyNotBoundError
      > DeviceNotAllowedError
      > MeasurementMismatchError
    + PinMismatchError
    + PinFileError
  - ReceiptError                 a node's signature does not verify
  - StatusError                  a server answered with another status than 200
    + InvalidRequestError        400, 415, 422, and the node's own 400
      > ContextLengthError
      > PayloadTooLargeError     413
      > StackNotIndexedError
    + AuthenticationError        401
    + BalanceError               402
    + PermissionDeniedError      403
    + NotFoundError              404
    + StackLockedError           423
    + StackUnavailableError      425
    + ConcurrentPurchaseError
    + RateLimitError             429
    + NodeUnavailableError       503
    + ServerError                any other status
      > NodeFailureError
      > NodeKeyMissingError
  - ConnectionFailedError        no connection was made
  - ConnectionLostError          the connection broke before a byte came
    + AnswerCutError             it broke within the answer
  - ClientClosedError            by another thread or task, during the call
  - ReplyTimeoutError
    + StreamStalledError
  - RemoteProtocolError          an answer that is off contract
    + StreamTruncatedError
    + EngineError
  - OpenError                    a reply that does not authenticate
    + DigestMismatchError
    + ReflectionError
    + NonceReuseError
  - RefusedAnswerError           an answer that came, and cannot be used
  - TruncatedAnswerError
  - UnparsableAnswerError
  - CacheSecretError             an encrypted cache has another secret
  - CacheEntryError              an entry of it was changed or moved
  - VectorMismatchError          a vector store was built with another model

Rule: no exception of this module holds a prompt, a document, an answer, a key or a
token, nor a server's free text: a plain endpoint may echo what it was sent.
"""

from ._answer import (
    RefusedAnswerError,
    TruncatedAnswerError,
    UnparsableAnswerError,
    VectorMismatchError,
)
from ._base import (
    ConfidentialError,
    ConfidentialityWarning,
    Exposure,
    PlaintextEgressWarning,
    greater,
)
from ._cache import CacheEntryError, CacheSecretError
from ._local import (
    InvalidInputError,
    MissingCredentialsError,
    PlaintextEgressError,
    RequestTooLargeError,
)
from ._reply import (
    AnswerCutError,
    ClientClosedError,
    ConnectionFailedError,
    ConnectionLostError,
    DigestMismatchError,
    EngineError,
    NonceReuseError,
    OpenError,
    ReflectionError,
    RemoteProtocolError,
    ReplyTimeoutError,
    StreamStalledError,
    StreamTruncatedError,
)
from ._status import (
    AuthenticationError,
    BalanceError,
    ConcurrentPurchaseError,
    ContextLengthError,
    InvalidRequestError,
    NodeFailureError,
    NodeKeyMissingError,
    NodeUnavailableError,
    NotFoundError,
    PayloadTooLargeError,
    PermissionDeniedError,
    RateLimitError,
    ServerError,
    StackLockedError,
    StackNotIndexedError,
    StackUnavailableError,
    StatusError,
)
from ._trust import (
    AttestationError,
    ChainRejectedError,
    DeviceNotAllowedError,
    EvidenceFormatError,
    EvidenceRejectedError,
    EvidenceSignatureError,
    EvidenceUnavailableError,
    FirmwareIdMismatchError,
    KeyNotBoundError,
    MeasurementMismatchError,
    MissingEvidenceSourceError,
    PinFileError,
    PinMismatchError,
    ReceiptError,
    UnusableKeyError,
    VerifierUnavailableError,
)

__all__ = [
    "AnswerCutError",
    "AttestationError",
    "AuthenticationError",
    "BalanceError",
    "CacheEntryError",
    "CacheSecretError",
    "ChainRejectedError",
    "ClientClosedError",
    "ConcurrentPurchaseError",
    "ConfidentialError",
    "ConfidentialityWarning",
    "ConnectionFailedError",
    "ConnectionLostError",
    "ContextLengthError",
    "DeviceNotAllowedError",
    "DigestMismatchError",
    "EngineError",
    "EvidenceFormatError",
    "EvidenceRejectedError",
    "EvidenceSignatureError",
    "EvidenceUnavailableError",
    "Exposure",
    "FirmwareIdMismatchError",
    "InvalidInputError",
    "InvalidRequestError",
    "KeyNotBoundError",
    "MeasurementMismatchError",
    "MissingCredentialsError",
    "MissingEvidenceSourceError",
    "NodeFailureError",
    "NodeKeyMissingError",
    "NodeUnavailableError",
    "NonceReuseError",
    "NotFoundError",
    "OpenError",
    "PayloadTooLargeError",
    "PermissionDeniedError",
    "PinFileError",
    "PinMismatchError",
    "PlaintextEgressError",
    "PlaintextEgressWarning",
    "RateLimitError",
    "ReceiptError",
    "ReflectionError",
    "RefusedAnswerError",
    "RemoteProtocolError",
    "ReplyTimeoutError",
    "RequestTooLargeError",
    "ServerError",
    "StackLockedError",
    "StackNotIndexedError",
    "StackUnavailableError",
    "StatusError",
    "StreamStalledError",
    "StreamTruncatedError",
    "TruncatedAnswerError",
    "UnparsableAnswerError",
    "UnusableKeyError",
    "VectorMismatchError",
    "VerifierUnavailableError",
    "greater",
]
