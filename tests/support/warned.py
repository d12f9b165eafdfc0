"""What is warned of, however often."""

import contextlib
import warnings

from atoma_confidential.errors import PlaintextEgressWarning


@contextlib.contextmanager
def egress_warnings():
    """Give the texts of all warnings of ours, once the block has ended."""
    said = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield said
    said += [str(w.message) for w in caught if w.category is PlaintextEgressWarning]
