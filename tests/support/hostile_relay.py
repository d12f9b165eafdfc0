"""The table of a hostile relay in docs/reliability.md.

`python tests/support/hostile_relay.py SDK_PYTHON` measures it and writes it, where
SDK_PYTHON is a Python that has the official SDK; a test of `tests/interop` measures it
again and compares.

Real HTTP, real encryption, public calls. What the relay does hits one call, after
another that it left alone.
"""

import contextlib
import sys
import warnings
from pathlib import Path

from hostile_actions import ACTIONS, OTHER, RIGHT, Wire
from hostile_callers import OURS, Sdk
from page_marks import between, put_between

from atoma_confidential import ConfidentialityWarning
from atoma_confidential.errors import ConfidentialError

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
BEGIN, END = "<!-- hostile relay: measured -->\n", "<!-- end of hostile relay -->\n"


def outcome(text, error):
    """Say what came of a call, in the words of the table."""
    if error is None:
        whole = {RIGHT: "right answer", "".join(OTHER): "the node's second answer"}
        return whole.get(text, "**wrong text accepted**")
    return f"`{error}`" if RIGHT.startswith(text) else f"wrong text, then `{error}`"


def ours(wire, caller, mode, action):
    """Make a call that the relay leaves alone, and then one that it does not."""
    said, error = [], None
    with (
        warnings.catch_warnings(action="ignore", category=ConfidentialityWarning),
        caller(stream_mode=mode, **wire.settings) as call,
    ):
        call(before := [])
        assert "".join(before) == RIGHT
        wire.arm(action)
        try:
            call(said)
        except ConfidentialError as caught:
            error = type(caught).__name__
        wire.disarm()
    return outcome("".join(said), error)


def all_of_ours(wire, mode, action):
    """One outcome if all callers agree, and who has which if they do not."""
    found = {caller.__name__: ours(wire, caller, mode, action) for caller in OURS}
    if len({*found.values()}) == 1:
        return found["core"]
    return "; ".join(f"{name}: {what}" for name, what in found.items())


def of_sdk(wire, sdk, action):
    """Likewise for the official SDK, which has one way to stream."""
    assert outcome(*sdk.ask()) == "right answer"
    wire.arm(action)
    said = sdk.ask()
    wire.disarm()
    return outcome(*said)


COLUMNS = {
    "live, fresh nonces": ("fresh", "live"),
    "live, repeated nonce": ("reused", "live"),
    "auto, fresh nonces": ("fresh", "auto"),
    "auto, repeated nonce": ("reused", "auto"),
    "buffered": ("fresh", "buffered"),
    "atoma-sdk 0.1.3, fresh nonces": ("fresh", None),
    "atoma-sdk 0.1.3, repeated nonce": ("reused", None),
}


def measure(sdk_python):
    """Return the table as Markdown."""
    with contextlib.ExitStack() as exits:
        wires = {n: exits.enter_context(Wire(n)) for n in ("fresh", "reused")}
        sdks = {n: exits.enter_context(Sdk(sdk_python, wires[n])) for n in wires}
        rows = [["the relay's action", *COLUMNS], ["---"] * (len(COLUMNS) + 1)]
        for action in ACTIONS:
            rows.append([action])
            for nonces, mode in COLUMNS.values():
                if mode is None:
                    cell = of_sdk(wires[nonces], sdks[nonces], action)
                else:
                    cell = all_of_ours(wires[nonces], mode, action)
                rows[-1].append(cell)
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def written(page):
    """The table as the page has it."""
    return between(page, BEGIN, END)


if __name__ == "__main__":
    table = measure(sys.argv[1])
    put_between(PAGE, BEGIN, END, table)
    sys.stdout.write(table)
