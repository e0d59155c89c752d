"""What is made: previews side by side, files to take away, and where each year comes from."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from urllib.parse import quote

import streamlit as st

from betaearth.app.board import Desk
from betaearth.app.hall import FILES
from betaearth.app.pictures import Picture, observations_picture
from betaearth.app.results import Download, MadeYear, made_years, provenance
from betaearth.errors import DataError
from betaearth.pipeline.counting import counted

COLUMNS = 3
LARGEST_HELD = 50_000_000
"""Bytes of a file that is held in memory to be downloaded, where the server hands out none."""


def gallery_part(desk: Desk, *, hands_out: bool) -> None:
    """Show what is finished in a visitor's folder."""
    made = made_years(desk.folder)
    if not made:
        return
    st.header("4. Results")
    st.caption("The address of this page leads back to them: keep it, and give it only to whom you would show them.")
    for area, group in groupby(made, key=lambda each: each.folder.name):
        years = list(group)
        st.subheader(area)
        for caveat in dict.fromkeys(said for each in years for said in each.caveats):
            st.warning(caveat)
        for start in range(0, len(years), COLUMNS):
            for each, column in zip(years[start : start + COLUMNS], st.columns(COLUMNS), strict=False):
                with column:
                    show_year(each, desk, hands_out=hands_out)


def show_year(made: MadeYear, desk: Desk, *, hands_out: bool) -> None:
    """Show a year."""
    st.markdown(f"#### {made.year}")
    if preview := made.file("preview.png"):
        said = f"{made.year}: three principal components as red, green and blue"
        st.image(str(preview), caption=said, alt=f"Preview of {said}")
    else:
        st.text(f"Nothing was made: {reason}." if (reason := made.manifest.reason) else "The preview is not there.")
    if quality := made.file("quality.tif"):
        show_observations(made.year, quality)
    if overview := made.overview:
        with st.expander(f"Overview of {made.year}"):
            said = f"{made.year}: coverage, observations and principal components"
            st.image(str(overview), caption=said, alt=f"Overview of {said}")
    with st.expander(f"Where {made.year} comes from"):
        for sentence in provenance(made.manifest):
            st.text(sentence)
        for sentence in made.manifest.attribution:
            st.text(sentence)
    st.markdown(f"**Files of {made.year}**")
    for download in made.downloads:
        offer(download, desk, hands_out=hands_out)
    if scenes := made.scene_downloads:
        with st.expander(f"{counted(len(scenes), 'file')} of single scenes of {made.year}"):
            for download in scenes:
                offer(download, desk, hands_out=hands_out)


def show_observations(year: int, quality: Path) -> None:
    """Show how often each pixel was observed."""
    try:
        picture = counted_picture(quality, quality.stat().st_mtime_ns)
    except DataError as error:
        st.error(f"The observations of {year} cannot be shown.")
        st.text(error)
        return
    said = f"{year}: observations of each pixel, from {picture.least} (dark) to {picture.most} (light)"
    st.image(picture.png, caption=said, alt=f"Map of {said}")


@st.cache_data(max_entries=64, show_spinner=False)
def counted_picture(quality: Path, changed: int) -> Picture:  # noqa: ARG001  # a file that is replaced is drawn anew
    """Draw observations, once a file."""
    return observations_picture(quality)


def offer(download: Download, desk: Desk, *, hands_out: bool) -> None:
    """Offer a file: as a stream where the server hands files out, from memory where it is small, else in words."""
    name = download.path.relative_to(desk.folder)
    if hands_out:
        base = str(st.get_option("server.baseUrlPath") or "").strip("/")
        address = "/".join(["", *([base] if base else []), FILES, desk.token, quote(name.as_posix())])
        st.link_button(download.label, address, help=download.what)
    elif download.size <= LARGEST_HELD:
        held = download.path.read_bytes
        st.download_button(download.label, held, file_name=download.path.name, help=download.what, key=str(name))
    else:
        st.text(f"{download.label} lies in the output folder, as {desk.token}/{name}; `betaearth app` hands it out.")
