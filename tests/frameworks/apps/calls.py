"""The calls that every application here makes, to the recorder named in the environment."""

import os
from urllib.parse import quote

import httpx
import requests

import meshtrace

__all__ = ["call", "call_async"]

RECORDER = os.environ["RECORDER"]
SECONDS = 30

meshtrace.patch()


def call(name: str) -> str:
    """Call the recorder from synchronous code."""
    return requests.get(f"{RECORDER}/{quote(name)}", timeout=SECONDS).text


async def call_async(name: str) -> str:
    """Call the recorder from asynchronous code."""
    async with httpx.AsyncClient(timeout=SECONDS) as client:
        return (await client.get(f"{RECORDER}/{quote(name)}")).text
