"""A rate limiter that limits nothing."""


class Limiter:
    """Counts how often it was taken.

    Attributes:
        taken: That often.
    """

    def __init__(self):
        self.taken = 0

    def acquire(self):
        self.taken += 1

    async def async_acquire(self):
        self.taken += 1
