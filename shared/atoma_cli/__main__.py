"""`python -m atoma_cli` is the `atoma` command."""

from . import app

app()
