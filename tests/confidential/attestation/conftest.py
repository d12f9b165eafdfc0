import pytest
from appraisal import NONCE
from silicon import NOW, Authority, measurement, pack
from silicon_nras import Service
from silicon_rim import DRIVER, OTHER, RimAuthority, golden

from atoma_confidential.attestation.evidence import parse_evidence
from atoma_confidential.attestation.nvidia import verify_evidence

_FAULTS = pytest.StashKey()


@pytest.fixture(scope="session")
def authority():
    return Authority()


@pytest.fixture(scope="session")
def gpu(authority):
    return authority.chip()


@pytest.fixture(scope="session")
def faults_refused(pytestconfig):
    """Collect, for each subject, how often which error refused a fault."""
    return pytestconfig.stash.setdefault(_FAULTS, {})


@pytest.fixture(scope="session")
def service():
    """NVIDIA's attestation service, with a key of its own."""
    return Service()


@pytest.fixture(scope="session")
def signer():
    """Who signs reference values, from 2026 to 2028."""
    return RimAuthority(years=(2026, 2028))


@pytest.fixture
def document(signer):
    """Reference values of a driver: one alone, two that are alternatives, one off."""
    return signer.document(DRIVER, golden(1, 2) | {3: (), 4: (OTHER, measurement(5))})


@pytest.fixture
def check_devices(authority):
    """Verify entries, of one GPU with these changes where none is given."""

    def check(*entries, chip=None, nonce=NONCE, now=NOW, root=None, **changes):
        if not entries:
            entries = [(chip or authority.chip()).entry(NONCE, **changes)]
        items = parse_evidence(pack(list(entries)))
        root = root or authority.fingerprint
        return verify_evidence(items, nonce=nonce, now=now, root=root)

    return check


def pytest_terminal_summary(terminalreporter, config):
    counted = config.stash.get(_FAULTS, {})
    if counted:
        total = sum(errors.total() for errors in counted.values())
        parts = ", ".join(
            f"{errors.total()} {name}" for name, errors in counted.items()
        )
        terminalreporter.write_line(f"faults: {total} refused, 0 accepted ({parts})")
