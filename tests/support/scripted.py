"""An engine that says what a test scripts, and models before it."""

import copy

CHAT = "meta-llama/Llama-3.3-70B-Instruct"
OTHER_CHAT = "meta-llama/Llama-3.1-8B-Instruct"
EMBEDDINGS = "intfloat/multilingual-e5-large-instruct"


def maker(kind, **defaults):
    """Give what makes models of a kind before a local Atoma."""

    def make(atoma, **fields):
        connection = {"api_key": atoma.api_key, "base_url": atoma.base_url}
        return kind(**{**defaults, **connection, **fields})

    return make


class ScriptedEngine:
    """Says what it is told to, and keeps what it was asked.

    Attributes:
        message: The whole answer's message.
        choice: What stands beside the message in its choice.
        chunks: The choices of a stream's chunks.
        usage: Sent with the answer, and in a stream's last chunk.
        answer_fields: What else an answer and its chunks say of themselves.
        asked: The bodies of the requests.
    """

    def __init__(self):
        self.message = {"role": "assistant", "content": "Yes."}
        self.choice = {"finish_reason": "stop"}
        self.chunks = [{"delta": {"content": "Yes."}, "finish_reason": "stop"}]
        self.usage = {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}
        self.answer_fields = {}
        self.asked = []

    def chat(self, body):
        self.asked.append(body)
        choice = {"index": 0, "message": self.message, **self.choice}
        choices = [{**choice, "index": n} for n in range(body.get("n") or 1)]
        return {**self._head(body), "choices": choices, "usage": self.usage}

    def stream_chat(self, body):
        self.asked.append(body)
        head = self._head(body)
        for choice in copy.deepcopy(self.chunks):
            yield {**head, "choices": [{"index": 0, "finish_reason": None, **choice}]}
        yield {**head, "choices": [], "usage": self.usage}

    def embed(self, body):
        """Answer out of order, with vectors that tell texts apart by their length."""
        self.asked.append(body)
        texts = [body["input"]] if isinstance(body["input"], str) else body["input"]
        data = [
            {"index": n, "embedding": [float(len(text)), 1.0]}
            for n, text in enumerate(texts)
        ]
        usage = {"prompt_tokens": len(texts), "total_tokens": len(texts)}
        return {"model": body["model"], "data": data[::-1], "usage": usage}

    def models(self):
        return [CHAT, OTHER_CHAT, EMBEDDINGS]

    def _head(self, body):
        head = {"id": "chatcmpl-1", "created": 1, "model": body["model"]}
        return {**head, **self.answer_fields}
