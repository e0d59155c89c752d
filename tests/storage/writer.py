"""A process of its own that writes to a folder store: `writer.py create|update|flood|put ROOT NAME`.

It says `ready`, waits for a line, and then answers on its standard output.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

from betaearth.storage.folder import FolderStore
from betaearth.storage.open import open_folder

SIZE = 3_000_000
"""Bytes of an object of `flood`: its key, padded to 16 bytes, again and again."""
INCREMENTS = 25


def create(store: FolderStore, name: str) -> None:
    """Create one key among many processes, and say who won."""
    say(str(store.create("one/key", name.encode() * 100_000)))


def update(store: FolderStore, _: str) -> None:
    """Add to a counter, by compare and swap."""
    for _increment in range(INCREMENTS):
        while True:
            stored = store.find("counter")
            if stored is None:
                raise RuntimeError("the counter must be there at any time")
            value = json.loads(stored.data)
            if store.update("counter", json.dumps(value + 1).encode(), stored.etag):
                break


def flood(store: FolderStore, name: str) -> None:
    """Write one large object after another until killed, and say what was acknowledged."""
    for number in range(1_000_000):
        key = f"{name}/{number}"
        store.create(key, key.encode().ljust(16, b".") * (SIZE // 16))
        say(key)


def put(store: FolderStore, name: str) -> None:
    """Put a file of that name over the same object again and again until killed."""
    for _ in range(1_000_000):
        store.put_file("put/again", Path(name))
        say("put")


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


TASKS: dict[str, Callable[[FolderStore, str], None]] = {"create": create, "update": update, "flood": flood, "put": put}

if __name__ == "__main__":
    task, root, name = sys.argv[1:]
    store = open_folder(root)
    say("ready")
    sys.stdin.readline()
    TASKS[task](store, name)
