"""The table of faults in docs/reliability.md: `python tests/reliability/page.py`.

`--measure` runs every call again first, and writes outcomes.toml anew: read what
changed before you keep it.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from fault_cases import measured
from fault_outcomes import BEGIN, END, FILE, PAGE, table
from page_marks import put_between

if __name__ == "__main__":
    if "--measure" in sys.argv:
        FILE.write_text(measured())
    put_between(PAGE, BEGIN, END, table())
