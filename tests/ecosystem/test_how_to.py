"""The Python blocks of a how-to page are one script, and it runs as it stands."""

import gc

import pytest
from how_to import PAGES, script


# LlamaIndex's agents bring these along.
@pytest.mark.filterwarnings(
    "ignore::pydantic.warnings.PydanticDeprecatedSince20",
    "ignore::pydantic.warnings.PydanticDeprecatedSince211",
    "ignore::ResourceWarning",
)
@pytest.mark.parametrize("page", PAGES)
def test_the_page_runs(page, atoma, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)  # where it writes to
    monkeypatch.setenv("ATOMA_BASE_URL", atoma.base_url)
    monkeypatch.setenv("ATOMA_API_KEY", atoma.api_key)

    exec(script(page), {"__name__": "__main__"})  # noqa: S102
    gc.collect()  # what the page leaves behind belongs to it

    assert atoma.exchanges
