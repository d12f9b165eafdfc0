"""A verdict to parse answers with, where no client has made one."""

from atoma_confidential import Verdict

VERDICT = Verdict(
    sealed=True,
    assurance="proxy_asserted",
    policy="proxy_asserted",
    not_proven="",
    node=3,
    key="0123456789abcdef",
    stream="none",
    hash="verified",
    signature="skipped",
    blinded=True,
)
