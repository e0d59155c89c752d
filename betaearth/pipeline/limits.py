"""How large the parts of a workflow's run may be. It imports nothing, so that a command line can say it in its help."""

from __future__ import annotations

MOST_SHARDS = 1000
"""Shards of a run: the workflow of a region has a node and a child workflow for each."""
LARGEST_SHARD = 1000
"""Tile-years of a shard: its workflow has a node for each pod."""
SAFE_SHARD = 500
"""Tile-years of a shard up to which its Workflow stays small enough for etcd, whatever becomes of its pods."""
TILES_PER_POD_ABOVE = 10
"""Tile-years of a pod, at least, that keep the Workflow of a larger shard as small."""
MOST_TILES_PER_POD = LARGEST_SHARD
"""Tile-years of a pod: those of a whole shard. 10 or 20 are many, since the pod's deadline holds for all of them."""


def larger_shards(shard_size: int) -> str:
    """Say how a run of too many shards can have fewer; it is the end of a sentence, and empty where there is no way.

    Args:
        shard_size: tile-years of a shard, as they were asked for.
    """
    if shard_size >= LARGEST_SHARD:
        return ""
    safe = f"up to {SAFE_SHARD} is safe; above that, " if shard_size < SAFE_SHARD else ""
    return f", or raise --shard-size ({safe}up to {LARGEST_SHARD} with --tiles-per-pod {TILES_PER_POD_ABOVE} or more)"
