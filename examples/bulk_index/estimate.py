"""What a bulk index takes, computed from one request that is rehearsed and not sent.

python estimate.py --passages 1e9 --bytes 500 --rate 5000
"""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass

from atoma_confidential import Client

MODEL = "intfloat/multilingual-e5-large-instruct"
DIMENSIONS = 1024
BATCH_SIZE = 100
ID_BYTES = 16
FLOAT_BYTES = 4
_LARGEST = 200_000
_BASE64 = 4 / 3
_ANSWER_BYTES = 750
"""What comes with the vectors of a request: two heads, a lock, a signature, usage."""
_ENTRY_BYTES = 49
"""What JSON puts around a vector."""
_REQUEST_BYTES = 1050
"""What goes with the ciphertext of a request: two heads, a lock, keys and digests."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """One sealed request for the vectors of some passages.

    Attributes:
        passages: How many are in it.
        units: Compute units that its lock reserves.
        sent: Bytes that leave, those of the lock among them.
        received: Bytes that come back, about.
    """

    passages: int
    units: int
    sent: int
    received: int


@dataclass(frozen=True, slots=True)
class Estimate:
    """What all passages take.

    Attributes:
        requests: Sealed requests without repetitions; each takes a lock of its own.
        units: Compute units that the locks reserve.
        sent: Bytes that leave.
        received: Bytes that come back.
        vectors: Bytes of the table's vectors.
        ids: Bytes of memory, for each machine, that a run begins with if all is done.
        hours: At the rate.
    """

    requests: int
    units: int
    sent: int
    received: int
    vectors: int
    ids: int
    hours: float

    def cost(self, price: float) -> float:
        """Return what the units cost, at a price for a million of them."""
        return self.units / 1e6 * price


def rehearse(
    texts: list[str], *, model: str = MODEL, dimensions: int = DIMENSIONS
) -> Sealed:
    """Return what the request for some passages takes; nothing is sent.

    Args:
        texts: As many as are sent at a time, of no more than 200,000 bytes in all.
        model: The engine's model.
        dimensions: How long its vectors are.
    """
    with Client(api_key="unused") as client:
        explained = client.explain_embed(
            texts, model=model, batch_size=len(texts), batch_bytes=_LARGEST
        )
    request = explained.crossings[-1]
    vector = 4 * math.ceil(dimensions * FLOAT_BYTES / 3) + _ENTRY_BYTES  # base64
    return Sealed(
        passages=len(texts),
        units=int(request.clear["num_compute_units"]),
        sent=math.ceil(request.sealed_bytes * _BASE64) + _REQUEST_BYTES,
        received=math.ceil(len(texts) * vector * _BASE64) + _ANSWER_BYTES,
    )


def estimate(
    sealed: Sealed, passages: int, *, rate: float, dimensions: int = DIMENSIONS
) -> Estimate:
    """Return what so many passages take.

    Args:
        sealed: One request for some of them.
        passages: How many there are.
        rate: Passages a second, of all workers together.
        dimensions: How long the vectors are.
    """
    requests = math.ceil(passages / sealed.passages)
    return Estimate(
        requests=requests,
        units=requests * sealed.units,
        sent=requests * sealed.sent,
        received=requests * sealed.received,
        vectors=passages * dimensions * FLOAT_BYTES,
        ids=passages * ID_BYTES,
        hours=passages / rate / 3600,
    )


def rate_of(*, workers: int, requests: int, batch_size: int, seconds: float) -> float:
    """Return the passages a second that workers can ask for.

    Args:
        workers: How many.
        requests: Of each, at a time.
        batch_size: Passages in a request.
        seconds: From asking for a lock to the vectors.
    """
    return workers * requests * batch_size / seconds


def main() -> None:
    """Print the estimate for passages of one length."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--passages", type=float, default=1e9)
    parser.add_argument("--bytes", type=int, default=500, help="of a passage")
    parser.add_argument("--batch-size", type=int, default=BATCH_SIZE)
    parser.add_argument("--dimensions", type=int, default=DIMENSIONS)
    parser.add_argument("--rate", type=float, default=5000.0, help="passages a second")
    parser.add_argument("--price", type=float, help="of a million compute units")
    options = parser.parse_args()
    together = min(options.batch_size, _LARGEST // options.bytes) or 1
    texts = ["x" * options.bytes] * together
    sealed = rehearse(texts, dimensions=options.dimensions)
    found = estimate(
        sealed,
        int(options.passages),
        rate=options.rate,
        dimensions=options.dimensions,
    )
    print(f"requests, and locks    {found.requests:>22,}")
    print(f"compute units          {found.units:>22,}")
    print(f"bytes sent             {found.sent:>22,}")
    print(f"bytes received         {found.received:>22,}")
    print(f"bytes of vectors       {found.vectors:>22,}")
    print(f"bytes of ids, memory   {found.ids:>22,}")
    print(f"hours                  {found.hours:>22,.1f}")
    if options.price is not None:
        print(f"cost                   {found.cost(options.price):>22,.2f}")


if __name__ == "__main__":
    main()
