"""The options of `atoma verify`."""

from __future__ import annotations

import enum
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from .._console import failures
from ._options import JsonOption

if TYPE_CHECKING:
    from atoma_confidential import (
        AttestationError,
        AttestationResult,
        SuiContract,
        TrustPolicy,
    )

__all__ = ["verify"]

_U64 = (1 << 64) - 1


class Policy(enum.StrEnum):
    """What is checked; docs/attestation.md says what that proves."""

    NVIDIA_OFFLINE = "nvidia-offline"
    NRAS = "nras"


def verify(
    *,
    node: Annotated[
        int,
        typer.Option(min=0, max=_U64, help="The node's number.", show_default=False),
    ],
    key: Annotated[
        str, typer.Option(help="Its public key, in base64.", show_default=False)
    ],
    nonce: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=_U64,
            show_default=False,
            help="The contract's nonce, from a source that you trust.",
        ),
    ] = None,
    sui_rpc: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            show_default=False,
            help="Or a Sui RPC server to read it from, with --atoma-db.",
        ),
    ] = None,
    atoma_db: Annotated[
        str | None,
        typer.Option(
            metavar="ID", show_default=False, help="The contract's AtomaDb object."
        ),
    ] = None,
    package: Annotated[
        str | None,
        typer.Option(
            metavar="ID",
            show_default=False,
            help="The contract's package: the key is then compared with the chain's.",
        ),
    ] = None,
    policy: Annotated[
        Policy, typer.Option(help="nras also asks NVIDIA's service, under its terms.")
    ] = Policy.NVIDIA_OFFLINE,
    gpus: Annotated[
        list[str] | None,
        typer.Option(
            "--gpu",
            metavar="CHIP",
            show_default=False,
            help="A chip that may vouch; may be given again.",
        ),
    ] = None,
    min_driver: Annotated[
        str | None,
        typer.Option(
            metavar="VERSION", show_default=False, help="The oldest acceptable driver."
        ),
    ] = None,
    rims: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            file_okay=False,
            show_default=False,
            help="A folder of NVIDIA's reference measurements.",
        ),
    ] = None,
    evidence: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            show_default=False,
            help="A file with the node's record, instead of fetching it.",
        ),
    ] = None,
    attestation_url: Annotated[
        str | None,
        typer.Option(
            metavar="URL", show_default=False, help="Where the nodes' records are."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Check the evidence for a node's key; no lock is taken and nothing is spent."""
    with failures(strict=True):
        from atoma_confidential import AttestationError  # noqa: PLC0415  heavy
        from atoma_confidential.attestation.policy import Candidate  # noqa: PLC0415

        from .. import _verify  # noqa: PLC0415  heavy

        candidate = Candidate.of(node=node, key=key)
        source = _nonce(nonce, sui_rpc, atoma_db, package)
        outcome: AttestationResult | AttestationError
        try:
            chosen = _policy(
                policy, nonce=source, gpus=gpus, min_driver=min_driver, rims=rims
            )
            if evidence is None:
                outcome = _verify.appraise(
                    chosen, candidate, attestation_url=attestation_url
                )
            else:
                outcome = _verify.appraise_record(
                    chosen, candidate, evidence, now=time.time()
                )
        except AttestationError as error:
            outcome = error
        code = _verify.conclude(outcome, candidate, as_json=as_json)
    raise typer.Exit(code)


def _nonce(
    nonce: int | None, rpc_url: str | None, atoma_db: str | None, package: str | None
) -> int | SuiContract:
    from atoma_confidential import InvalidInputError, SuiContract  # noqa: PLC0415

    if (nonce is None) == (rpc_url is None):
        raise InvalidInputError(
            "Give the contract's nonce, or a server to read it from."
        )
    if rpc_url is None:
        return cast("int", nonce)
    return SuiContract(rpc_url=rpc_url, atoma_db=atoma_db, package=package)


def _policy(policy: Policy, *, rims: Path | None, **wanted: Any) -> TrustPolicy:
    from atoma_confidential import (  # noqa: PLC0415  heavy
        AttestationError,
        InvalidInputError,
        TrustPolicy,
    )

    if policy is Policy.NVIDIA_OFFLINE:
        try:
            return TrustPolicy.nvidia_offline(rims=rims, **wanted)
        except AttestationError as error:  # of the documents: no key was judged yet
            raise InvalidInputError(f"--rims: {error.message}") from None
    if rims is not None:
        raise InvalidInputError("NVIDIA's service compares measurements itself.")
    return TrustPolicy.nras(api_key=os.environ.get("NVIDIA_API_KEY"), **wanted)
