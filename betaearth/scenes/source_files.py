"""How files end that say where imagery is. It imports nothing, so that words can be judged without rasters."""

from __future__ import annotations

ITEMS = (".json", ".geojson")
"""Ends of the names of item collections, here or at an address."""
PROFILE = ".toml"
"""End of the name of a source's profile."""
