"""The Python blocks of a how-to page are one script, and it runs as it stands."""

import gc
import re
from pathlib import Path

import pytest

HOW_TO = Path(__file__).parent.parent.parent / "docs" / "how-to"
PYTHON = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


PAGES = [
    page for page in sorted(HOW_TO.glob("*.md")) if PYTHON.search(page.read_text())
]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_page_runs(page, atoma, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)  # where it writes to
    monkeypatch.setenv("ATOMA_BASE_URL", atoma.base_url)
    monkeypatch.setenv("ATOMA_API_KEY", atoma.api_key)
    script = "\n".join(PYTHON.findall(page.read_text()))

    exec(compile(script, page.name, "exec"), {"__name__": "__main__"})  # noqa: S102
    gc.collect()  # what the page leaves behind belongs to it

    assert atoma.exchanges
