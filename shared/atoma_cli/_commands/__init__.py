"""Options in, one call out: a module for each command; the work is done elsewhere."""

from __future__ import annotations

from .ask import ask
from .chat import chat
from .doctor import doctor
from .explain import explain
from .local import local
from .models import models
from .proxy import proxy
from .verify import verify

__all__ = ["ask", "chat", "doctor", "explain", "local", "models", "proxy", "verify"]
