"""The how-to pages, and the script that the Python blocks of each one are together."""

import re
from pathlib import Path

_FOLDER = Path(__file__).parents[2] / "docs" / "how-to"
_PYTHON = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def script(page, *, words=None):
    """Give the script of a page as code, with some words of it put in others."""
    path = _FOLDER / f"{page}.md"
    text = "\n".join(_PYTHON.findall(path.read_text()))
    for word, other in (words or {}).items():
        assert word in text, f"{page} does not say {word}"
        text = text.replace(word, other)
    return compile(text, path.name, "exec")


PAGES = sorted(
    path.stem for path in _FOLDER.glob("*.md") if _PYTHON.search(path.read_text())
)
