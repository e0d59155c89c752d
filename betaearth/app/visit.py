"""Who is here: a visitor's desk is found by the address of the page, and left when the browser is gone."""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit

import streamlit as st

from betaearth.app.board import Board, Desk
from betaearth.app.hall import HALL

WORK = "work"
"""Name in the page's address of what leads back to a desk."""


def own_address(desk: Desk) -> str | None:
    """Return the address of the page itself, which leads back to a desk; None where the browser does not tell."""
    address = urlsplit(st.context.url or "")
    if address.scheme not in {"http", "https"}:
        return None
    return urlunsplit(address._replace(path=address.path or "/", query=f"{WORK}={desk.token}", fragment=""))


def desk_of(board: Board) -> Desk:
    """Return the visitor's desk: that of the page's address, so that a page that is loaded anew finds its work."""
    desk = board.desk(st.query_params.get(WORK))
    if st.query_params.get(WORK) != desk.token:
        st.query_params[WORK] = desk.token
    presence(desk.token)
    return desk


@st.cache_resource(scope="session", on_release=Desk.leave, show_spinner=False)
def presence(token: str) -> Desk:
    """Note that a visitor is here, until the session is disconnected."""
    desk = HALL.enter().desk(token)
    desk.arrive()
    return desk
