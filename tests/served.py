"""An ASGI application behind a real socket, and what was asked of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send


@dataclass
class Answered:
    """A request and what came back."""

    method: str
    path: str
    status: int = 0
    sent: int = 0
    """Bytes of the body."""


@dataclass
class Served:
    """An application at an address."""

    application: ASGIApp
    address: str = ""
    """`http://127.0.0.1:PORT`."""
    answered: list[Answered] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = Answered(scope["method"], scope["path"])
        self.answered.append(answer)

        async def note(message: Message) -> None:
            answer.status = message.get("status", answer.status)
            answer.sent += len(message.get("body", b""))
            await send(message)

        await self.application(scope, receive, note)


@contextmanager
def served(application: ASGIApp) -> Iterator[Served]:
    """Run an application in a thread while the context lasts."""
    wrapped = Served(application)
    server = uvicorn.Server(uvicorn.Config(wrapped, port=0, log_level="critical", lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    wrapped.address = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    try:
        yield wrapped
    finally:
        server.should_exit = True
        thread.join()
