"""A key that must be shown nowhere, and what something shows of itself."""

KEY = "canary-key-5f1d9c-0452"


def shown(*values):
    return "\n".join(f"{value}{value!r}" for value in values)
