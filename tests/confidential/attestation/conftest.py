import pytest
from silicon import Authority

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


def pytest_terminal_summary(terminalreporter, config):
    counted = config.stash.get(_FAULTS, {})
    if counted:
        total = sum(errors.total() for errors in counted.values())
        parts = ", ".join(
            f"{errors.total()} {name}" for name, errors in counted.items()
        )
        terminalreporter.write_line(f"faults: {total} refused, 0 accepted ({parts})")
