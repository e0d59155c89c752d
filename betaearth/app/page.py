"""The page, as Streamlit runs it: from top to bottom, for every visitor, whenever something changes."""

from __future__ import annotations

import streamlit as st

from betaearth.app.board import Desk
from betaearth.app.choice import Choice
from betaearth.app.form import choice_form
from betaearth.app.gallery import gallery_part
from betaearth.app.hall import HALL
from betaearth.app.job import meaning_of
from betaearth.app.visit import desk_of, own_address
from betaearth.app.work import estimate_part, run_part
from betaearth.cli.exit_codes import exit_code
from betaearth.errors import ConfigError, DataError
from betaearth.settings import Settings, load_settings


def page() -> None:
    """Show everything."""
    st.set_page_config(page_title="BetaEarth", layout="wide")
    st.title("BetaEarth")
    st.write(
        "Annual embeddings of an area: 64 numbers for every 10 m, from a year of Sentinel-2 and Sentinel-1 imagery. "
        "Independent of AlphaEarth, whose published embeddings the released networks learned to reproduce."
    )
    try:
        settings, board = load_settings({}), HALL.enter()
    except ConfigError as error:
        st.error(meaning_of(exit_code(error)))
        st.text(error)
        st.stop()
    desk = desk_of(board)
    link_part(desk)
    choice = chosen(settings, desk)
    estimate_part(board, desk, choice)
    run_part(board, desk, choice)
    if choice is not None:
        same_part(choice)
    gallery_part(desk, hands_out=HALL.hands_out)


def same_part(choice: Choice) -> None:
    """Show what does the same on the visitor's own machine."""
    with st.expander("The same on the command line"):
        st.code(choice.command, language=None, wrap_lines=True)
        if hidden := choice.of_server:
            st.write(f"Give `{'` and `'.join(hidden)}` of your own: those of this server are not told.")


def link_part(desk: Desk) -> None:
    """Show the page's own address: a page that shows in the frame of another has one that leads nowhere."""
    if address := own_address(desk):
        st.link_button(
            "Open in a window of its own",
            address,
            help="The address there leads back to your work and its results; in a frame of another page none does.",
        )


def chosen(settings: Settings, desk: Desk) -> Choice | None:
    """Show the form; returns what is chosen, or None where that cannot be made, and says why."""
    try:
        return choice_form(settings, desk.choice)
    except DataError as error:
        st.error("This cannot be made.")
        st.text(error)
        return None


page()
