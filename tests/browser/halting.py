"""A server that stops in the middle of an answer, as one does whose connection is lost without a word."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from betaearth.cli.server import catalog_server
from betaearth.storage.folder import FolderStore
from tests.served import served

LOOK_S = 0.02
"""Between two looks whether it may go on."""


class Halting:
    """An application whose first answer for a file of a name stops half-way."""

    def __init__(self, application: ASGIApp, name: str) -> None:
        self.application = application
        self.name = name
        self.address = ""
        self.begun = False
        self.halted = threading.Event()
        self.over = threading.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def half(message: Message) -> None:
            body = message.get("body", b"")
            if body and not self.begun:
                self.begun = True
                await send({**message, "body": body[: len(body) // 2], "more_body": True})
                self.halted.set()
                while not self.over.is_set():
                    await asyncio.sleep(LOOK_S)
                body = body[len(body) // 2 :]
            await send({**message, "body": body} if "body" in message else message)

        await self.application(scope, receive, half if scope["path"].endswith(f"/{self.name}") else send)


@contextmanager
def halting(folder: Path, name: str) -> Iterator[Halting]:
    """Serve a catalog; the first answer for files of a name stops half-way while the context lasts."""
    application = Halting(catalog_server(FolderStore(folder)), name)
    with served(application) as server:
        application.address = f"{server.address}/viewer/"
        try:
            yield application
        finally:
            application.over.set()
