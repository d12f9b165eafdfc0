"""The table of faults in docs/testing.md: `python tests/support/fault_page.py`."""

from pathlib import Path

from atoma_local import list_faults

PAGE = Path(__file__).parents[2] / "docs" / "testing.md"
BEGIN, END = "<!-- faults: generated -->\n", "<!-- end of faults -->\n"


def table():
    rows = [f"| `{row.name}` | {row.place} | {row.about} |\n" for row in list_faults()]
    return "".join(["| fault | place | what happens |\n", "|---|---|---|\n", *rows])


def written(page):
    """The table as the page has it."""
    return page.partition(BEGIN)[2].partition(END)[0]


if __name__ == "__main__":
    text = PAGE.read_text()
    before, _, rest = text.partition(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}{table()}{END}{rest.partition(END)[2]}")
