"""The two programs of docs/reliability.md that resume, as a reader would copy them.

Both are taken from the page. What they import is imported here, once: a process that
is forked from this one begins with the work, and not with ten seconds of imports.
"""

import importlib
import os
import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
BATCH = 20
_SIZE = "range(400)"
_BATCHES = ("batch_size=20", "start + 20")

for _name in (
    "langchain_atoma.embeddings",
    "langchain_classic.indexes",
    "langchain_core.indexing",
    "langchain_qdrant",
    "llama_index.core.ingestion",
    "llama_index.core.node_parser",
    "llama_index.vector_stores.qdrant",
    "llama_index_atoma.embeddings",
):
    importlib.import_module(_name)


def recipe(framework, passages):
    """Return the page's program for a framework, over so many passages."""
    part = PAGE.read_text().partition("\n## Indexing that resumes\n")[2]
    [code] = [
        code
        for code in re.findall(
            r"^```python\n(.*?)^```$", part, re.MULTILINE | re.DOTALL
        )
        if f"index-{framework}" in code
    ]
    if _SIZE not in code or not any(batch in code for batch in _BATCHES):
        raise SystemExit("The page has another corpus, or other batches, than this.")
    return code.replace(_SIZE, f"range({passages})")


def run(code, directory, environment):
    """Run a program in a directory; for a process of its own."""
    os.environ.update(environment)
    os.chdir(directory)
    exec(compile(code, "<reliability.md>", "exec"), {"__name__": "__main__"})  # noqa: S102
