"""Both clients for one set of settings: when they are made, and what they share."""

import asyncio
import subprocess
import sys

import httpx
import pytest

import atoma_confidential as ac
from atoma_confidential.clients import Clients

CHAT = "meta-llama/Llama-3.3-70B-Instruct"
MESSAGES = [{"role": "user", "content": "Where is canary-heliotrope-5f1d9c kept?"}]


def settings(atoma, **more):
    return {"api_key": atoma.api_key, "base_url": atoma.base_url, **more}


async def answer(clients):
    return (await clients.asynchronous.chat(MESSAGES, model=CHAT)).verdict


def test_importing_it_imports_no_client():
    code = "import sys, atoma_confidential.clients; print(*sys.modules, sep='\\n')"
    command = [sys.executable, "-c", code]
    ran = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603
    loaded = set(ran.stdout.split())
    assert not loaded & {"httpx", "cryptography", "atoma_confidential.client"}


def test_settings_are_refused_at_once(atoma):
    with pytest.raises(ac.InvalidInputError, match="another machine"):
        Clients({"api_key": "k", "base_url": "http://example.com"})
    with pytest.raises(ac.MissingCredentialsError):
        Clients.of({"base_url": atoma.base_url})


def test_clients_are_known_by_what_they_are_made_of(atoma):
    first = Clients.of(settings(atoma))
    assert Clients.of(settings(atoma), known=first) is first
    assert Clients.of(settings(atoma)) is not first
    assert Clients.of(settings(atoma, max_retries=1), known=first) is not first
    with httpx.Client() as client:
        assert Clients.of(settings(atoma), http_client=client, known=first) is not first
    assert atoma.api_key not in repr(first)


def test_the_async_client_knows_what_the_blocking_one_knows(atoma):
    clients = Clients(settings(atoma))
    list(clients.sync.stream_chat(MESSAGES, model=CHAT))
    assert clients.asynchronous is clients.asynchronous

    async def ask():
        async with clients.asynchronous.stream_chat(MESSAGES, model=CHAT) as stream:
            return [chunk async for chunk in stream]

    assert asyncio.run(ask())
    assert len(atoma.opened) == 3  # one canary, two answers
    clients.close()


def test_given_clients_make_the_connections_and_stay_open(atoma):
    async def ask(http_client):
        async with httpx.AsyncClient() as async_http_client:
            clients = Clients(
                settings(atoma),
                http_client=http_client,
                async_http_client=async_http_client,
            )
            assert clients.sync.chat(MESSAGES, model=CHAT).verdict.sealed
            assert (await answer(clients)).sealed
            await clients.aclose()
            assert not async_http_client.is_closed

    with httpx.Client() as http_client:
        asyncio.run(ask(http_client))
        assert not http_client.is_closed


def test_closing_leaves_clients_that_can_be_used_again(atoma):
    clients = Clients(settings(atoma))

    async def ask():
        await clients.aclose()  # before there is an asynchronous one
        for _ in range(2):
            assert (await answer(clients)).sealed
            assert clients.sync.chat(MESSAGES, model=CHAT).verdict.sealed
            await clients.aclose()

    asyncio.run(ask())
