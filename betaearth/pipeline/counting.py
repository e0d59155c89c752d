"""Numbers of things, as people say them."""

from __future__ import annotations


def counted(count: int, one: str, many: str | None = None) -> str:
    """Say how many there are: `1 shard`, `2,000 shards`, `3 retries`.

    Args:
        count: of them.
        one: the word for one.
        many: the word for any other number; None is that for one with an s.
    """
    return f"{count:,} {one if count == 1 else many or f'{one}s'}"
