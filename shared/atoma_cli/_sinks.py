"""Which known sinks of plaintext are on, in each framework that is installed."""

from __future__ import annotations

import importlib

from atoma_confidential.errors import PlaintextEgressError

__all__ = ["plaintext_sinks"]

_FRAMEWORKS = {"LangChain": "langchain_atoma", "LlamaIndex": "llama_index_atoma"}


def plaintext_sinks() -> dict[str, str]:
    """Return what is said of the sinks, by framework; empty where none is on."""
    found = {}
    for framework, package in _FRAMEWORKS.items():
        try:
            plugin = importlib.import_module(package)
            plugin.assert_no_plaintext_egress()
        except ModuleNotFoundError:
            continue  # its extra is not installed
        except PlaintextEgressError as error:
            found[framework] = error.message
        else:
            found[framework] = ""
    return found
