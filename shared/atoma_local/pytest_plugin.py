"""Fixtures for tests of programs that use Atoma: docs/testing.md.

pytest loads this module wherever this package is installed, so nothing is imported
before a fixture is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from . import FaultSwitch, LocalAtoma

__all__ = ["assert_no_plaintext", "atoma", "atoma_faults"]

_SEALED = "/v1/confidential/"


@pytest.fixture
def atoma(monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalAtoma]:
    """A local Atoma behind a fault relay; the environment's variables lead to it."""
    try:
        from . import LocalAtoma  # noqa: PLC0415  starlette, uvicorn
    except ModuleNotFoundError as error:
        pytest.fail(
            f"{error.name} is not installed. "
            "Run: pip install 'atoma-confidential[local]'",
            pytrace=False,
        )
    with LocalAtoma(wiretap=True) as local:
        monkeypatch.setenv("ATOMA_BASE_URL", local.base_url)
        monkeypatch.setenv("ATOMA_API_KEY", local.api_key)
        yield local


@pytest.fixture
def atoma_faults(atoma: LocalAtoma) -> Iterator[FaultSwitch]:
    """The faults of `atoma` and of the network before it, by name.

    A test whose faults have hit nothing has shown nothing, and fails; `clear` forgets
    them.
    """
    from . import FaultSwitch  # noqa: PLC0415  the tables of faults

    faults = FaultSwitch(atoma)
    yield faults
    if idle := faults.idle:
        pytest.fail(f"faults that hit no request: {', '.join(idle)}", pytrace=False)


@pytest.fixture
def assert_no_plaintext(atoma: LocalAtoma) -> Callable[..., None]:
    """Call it with texts; none may have crossed the wire, in any encoding."""

    def check(*texts: str) -> None:
        if not texts:
            pytest.fail("assert_no_plaintext was given no text to look for")
        paths = [request.start_line.split(" ")[1] for request in atoma.tap.requests]
        if not any(path.startswith(_SEALED) for path in paths):
            pytest.fail("nothing sealed was sent, so nothing was shown")
        if findings := atoma.tap.find(texts):
            # By their place: the report of a test is no place for secrets.
            seen = [f"text {f.text} ({f.encoding}, {f.where})" for f in findings]
            pytest.fail(f"plaintext on the wire: {'; '.join(seen)}")

    return check
