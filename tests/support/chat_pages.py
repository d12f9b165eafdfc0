"""The chat page of examples/chat_page, before a local Atoma."""

import contextlib
import importlib
import sys
from pathlib import Path

from scripted import CHAT, maker

from atoma_local._threaded import ThreadedServer
from langchain_atoma import AtomaChatModel

FOLDER = Path(__file__).parents[2] / "examples" / "chat_page"


@contextlib.contextmanager
def serve_page(atoma, *, wired=True, **fields):
    """Serve it on a free port, and give its address."""
    sys.path.insert(0, str(FOLDER))
    try:
        page, wire = (importlib.import_module(name) for name in ("chat_page", "wire"))
    finally:
        sys.path.remove(str(FOLDER))
    model = maker(AtomaChatModel, model=CHAT)(atoma, **fields)
    app = page.build_app(model, wire.Wire(atoma.tap) if wired else None)
    server = ThreadedServer(app, ("127.0.0.1", 0))
    server.start()
    try:
        yield server.url
    finally:
        server.stop()
