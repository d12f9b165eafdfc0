"""LangSmith on this machine: what it is sent, and its own client, which sends it."""

from collector import Collector
from langsmith import Client
from langsmith.utils import get_env_var


class LangSmith(Collector):
    """The collector, and LangSmith's own client of it, which sends in a thread."""

    def __enter__(self):
        super().__enter__()
        self.client = Client(api_url=self.url, api_key="key")
        return self

    def __exit__(self, *exc):
        self.client.close()
        super().__exit__(*exc)

    def sent(self):
        """Wait for all that was to be sent."""
        self.client.flush()
        return self

    def switch_on(self, monkeypatch):
        monkeypatch.setenv("LANGSMITH_TRACING", "true")
        get_env_var.cache_clear()
