"""A tool that adds."""

from llama_index.core.tools import FunctionTool


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


TOOL = FunctionTool.from_defaults(add)
