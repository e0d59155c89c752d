"""The map on which a box is drawn: it works without any network, and asks OpenStreetMap for tiles only when told to."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import streamlit as st

HERE = Path(__file__).parent
NAME = "betaearth-box-map"
KEY = "map"
"""Of the map in the session's state."""


@lru_cache(maxsize=1)
def outlines() -> list[list[list[float]]]:
    """Read the outlines of land: rings of (longitude, latitude), degrees."""
    rings: list[list[list[float]]] = json.loads((HERE / "land.json").read_text())["rings"]
    return rings


@lru_cache(maxsize=1)
def component() -> Any:  # noqa: ANN401  # Streamlit keeps the type of components private
    """Register the map, once a process."""
    markup, style, script = ((HERE / f"box_map.{kind}").read_text() for kind in ("html", "css", "js"))
    return st.components.v2.component(NAME, html=markup, css=style, js=script)


def box_map(box: Sequence[float] | None, *, tiles: bool, on_box: Callable[[], None]) -> None:
    """Show the map.

    Args:
        box: west, south, east, north, degrees; None where there is none.
        tiles: whether OpenStreetMap is asked for tiles.
        on_box: called when a box was drawn; `drawn_box` returns it.
    """
    data = {"land": outlines(), "box": None if box is None else list(box), "tiles": tiles}
    component()(key=KEY, data=data, on_box_change=on_box)


def drawn_box() -> tuple[float, float, float, float] | None:
    """Return the box that was drawn last; None where none was."""
    state: Any = st.session_state.get(KEY) or {}
    box = state.get("box")
    if not isinstance(box, list) or len(box) != 4 or not all(isinstance(value, int | float) for value in box):
        return None
    west, south, east, north = (float(value) for value in box)
    on_earth = all(abs(value) <= 180 for value in (west, east)) and all(abs(value) <= 90 for value in (south, north))
    return (west, south, east, north) if on_earth else None
