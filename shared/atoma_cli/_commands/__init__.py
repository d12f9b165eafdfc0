"""Options in, one call out: a module for each command; the work is done elsewhere."""

from __future__ import annotations

from .ask import ask
from .chat import chat
from .local import local
from .models import models

__all__ = ["ask", "chat", "local", "models"]
