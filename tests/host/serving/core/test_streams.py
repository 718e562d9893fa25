"""Places of streams: limited, and taken from those that are idle."""

import asyncio
from typing import Any

import pytest

from arrayloom.host.serving.core import memory
from arrayloom.host.serving.core.grpc_messages import next_of_dialog
from arrayloom.host.serving.core.memory import Streams
from arrayloom.host.serving.core.settings import Settings
from arrayloom.host.serving.errors import ServiceError


class _Service:
    settings = Settings(timeout=30)


class _Client:
    """Sends messages that are put into it."""

    def __init__(self) -> None:
        self.messages: asyncio.Queue[bytes] = asyncio.Queue()

    async def read(self) -> bytes:
        return await self.messages.get()


async def _conversation(streams: Streams, client: _Client, seen: list[Any]) -> None:
    service: Any = _Service()
    try:
        with streams.one():
            while (data := await next_of_dialog(service, client, streams)) != b"end":
                seen.append(data)
    except ServiceError as error:
        seen.append(str(error))


def _run(monkeypatch: pytest.MonkeyPatch, idle: float) -> tuple[list[Any], list[Any], list[Any]]:
    """Two streams have all places; the first is idle, the second is not; then a third comes."""
    monkeypatch.setattr(memory, "IDLE_SECONDS", idle)

    async def scenario() -> tuple[list[Any], list[Any], list[Any]]:
        streams, clients = Streams(2, "streams are open"), [_Client(), _Client(), _Client()]
        seen: list[list[Any]] = [[], [], []]
        tasks = [asyncio.create_task(_conversation(streams, clients[n], seen[n])) for n in range(2)]
        for _ in range(3):
            await asyncio.sleep(0.04)
            clients[1].messages.put_nowait(b"more")
        await asyncio.sleep(0)
        tasks.append(asyncio.create_task(_conversation(streams, clients[2], seen[2])))
        for client in clients:
            await asyncio.sleep(0.02)
            client.messages.put_nowait(b"end")
        await asyncio.gather(*tasks)
        return seen[0], seen[1], seen[2]

    return asyncio.run(scenario())


def test_an_idle_one_gives_up_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    idle, busy, late = _run(monkeypatch, 0.1)
    assert idle == ["others wait, and no message came; open the stream again"]
    assert busy == [b"more"] * 3
    assert late == []


def test_one_that_was_busy_just_now_keeps_it(monkeypatch: pytest.MonkeyPatch) -> None:
    idle, busy, late = _run(monkeypatch, 30)
    assert idle == []
    assert busy == [b"more"] * 3
    assert late == ["2 streams are open"]
