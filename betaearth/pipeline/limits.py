"""How large the parts of a workflow's run may be. It imports nothing, so that a command line can say it in its help."""

from __future__ import annotations

MOST_SHARDS = 1000
"""Shards of a run: the workflow of a region has a node and a child workflow for each."""
LARGEST_SHARD = 1000
"""Tile-years of a shard: its workflow has a node for each pod."""
MOST_TILES_PER_POD = LARGEST_SHARD
"""Tile-years of a pod: those of a whole shard. 10 or 20 are many, since the pod's deadline holds for all of them."""
