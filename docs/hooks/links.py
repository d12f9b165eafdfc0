"""A hook of mkdocs: the pages link to files of the repository, which no site holds.

Where a link leaves the folder of the pages, the site names the file instead.
"""

import re
from pathlib import PurePosixPath
from typing import Any

OUT = re.compile(r"\[([^\]]+)\]\(((?:\.\./)+[^)#]+)(?:#[^)]*)?\)")


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Return the text of a page with no link that leads out of the site."""
    folder = PurePosixPath(page.file.src_uri).parent

    def named(link: re.Match[str]) -> str:
        text, target = link.groups()
        ups = target.count("../")
        if ups <= len(folder.parts):
            return link[0]
        return f"{text} (`{target.replace('../', '')}`)"

    return OUT.sub(named, markdown)
