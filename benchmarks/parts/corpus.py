"""100,000 texts through LangChain's indexing API, and the memory that takes."""

from __future__ import annotations

from ..results import Part, summary
from ..rounds import Bench

__all__ = ["run"]

TEXTS, MARKS = 100_000, 10


def run(bench: Bench) -> Part:
    part = Part("corpus")
    texts = bench.few(TEXTS)
    took = bench.rounds(
        ["corpus"],
        "indexed",
        {"texts": texts, "marks": MARKS},
        rounds=1,
        far=True,
        warm=False,
    )
    (one,) = took.taken["corpus"]
    megabytes = one["came"]
    title = f"{texts:,} texts indexed, sealed, over a line of 50 ms"
    part.add(title, "texts/s", {"langchain_atoma": summary([texts / one["wall"]])})
    part.add(
        f"{title}: memory",
        "MB",
        {
            f"after {texts * tenth // MARKS:,}": summary([megabytes[tenth - 1]])
            for tenth in (1, MARKS // 2, MARKS)
        },
    )
    # The first tenth fills what is filled once: pools, caches, the allocator's arenas.
    part.compare(
        f"{title}: memory at the end against after a tenth",
        summary([megabytes[-1] / megabytes[0]]),
        at_most=1.1,
        with_others=False,
    )
    return part
