"""The table of faults in docs/reliability.md: `python tests/reliability/page.py`.

`--measure` runs every call again first, and writes outcomes.toml anew: read what
changed before you keep it.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from fault_cases import measured
from fault_outcomes import BEGIN, END, FILE, PAGE, table

if __name__ == "__main__":
    if "--measure" in sys.argv:
        FILE.write_text(measured())
    text = PAGE.read_text()
    before, _, rest = text.partition(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}{table()}{END}{rest.partition(END)[2]}")
