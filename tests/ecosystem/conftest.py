"""What is used with us is collected as it is for its users."""

import gc


def pytest_runtestloop():
    """Freeze nothing here.

    The more often there is a full collection, the sooner one finds what LangChain's
    Postgres leaves to it: the connections of a loop of its own, that nobody closes.
    """
    gc.unfreeze()
