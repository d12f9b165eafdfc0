"""Runs of a pydantic-ai agent, by the Python that has it; prints what came back.

Arguments: the server's URL, one that answers with a wrong digest, the API keys of both,
the model, the question.
"""

import asyncio
import json
import sys

from pydantic import BaseModel
from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

from atoma_confidential import DigestMismatchError
from atoma_confidential.openai import async_openai_client

URL, BROKEN_URL, KEY, BROKEN_KEY, MODEL, QUESTION = sys.argv[1:7]


class Bottles(BaseModel):
    """How many bottles there are."""

    bottles: int


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def model_of(client):
    return OpenAIChatModel(MODEL, provider=OpenAIProvider(openai_client=client))


async def main():
    async with async_openai_client(api_key=KEY, base_url=URL) as client:
        model = model_of(client)
        said = {"answer": (await Agent(model).run(QUESTION)).output}
        async with Agent(model).run_stream(QUESTION) as run:
            said["stream"] = "".join([t async for t in run.stream_text(delta=True)])
        structured = Agent(model, output_type=Bottles)
        said["structured"] = (await structured.run(QUESTION)).output.bottles
        agent = Agent(model, tools=[add])
        said["tool"] = (await agent.run("Use the tool: add 17 and 25.")).output
    async with async_openai_client(api_key=BROKEN_KEY, base_url=BROKEN_URL) as client:
        try:
            await Agent(model_of(client)).run(QUESTION)
        except DigestMismatchError as error:
            said["error"] = type(error).__name__
    print(json.dumps(said))  # noqa: T201


asyncio.run(main())
