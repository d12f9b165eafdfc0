"""What is used with us is collected as it is for its users."""

import gc


def pytest_runtestloop():
    """Freeze nothing here.

    LangChain's Postgres seems to leave the connections of a loop of its own to the
    collector: once, where most was frozen, it found them at the end, and warned.
    """
    gc.unfreeze()
