"""The table of faults in docs/testing.md: `python tests/support/fault_page.py`."""

from pathlib import Path

from page_marks import between, put_between

from atoma_local import list_faults

PAGE = Path(__file__).parents[2] / "docs" / "testing.md"
BEGIN, END = "<!-- faults: generated -->\n", "<!-- end of faults -->\n"


def table():
    rows = [f"| `{row.name}` | {row.place} | {row.about} |\n" for row in list_faults()]
    return "".join(["| fault | place | what happens |\n", "|---|---|---|\n", *rows])


def written(page):
    """The table as the page has it."""
    return between(page, BEGIN, END)


if __name__ == "__main__":
    put_between(PAGE, BEGIN, END, table())
