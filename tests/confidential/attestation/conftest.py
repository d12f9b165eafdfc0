import pytest
from silicon import Authority


@pytest.fixture(scope="session")
def authority():
    return Authority()


@pytest.fixture(scope="session")
def gpu(authority):
    return authority.chip()
