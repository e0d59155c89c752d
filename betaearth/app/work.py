"""The work: its estimate, its progress, and the buttons that begin and end it."""

from __future__ import annotations

import streamlit as st

from betaearth.app.board import Board, Desk
from betaearth.app.choice import Choice
from betaearth.app.job import Job, State
from betaearth.app.progress import REMARKS, Progress, progress_of
from betaearth.app.results import made_year
from betaearth.app.size import check_size
from betaearth.app.visit import presence
from betaearth.cli.report import duration_text, size_text
from betaearth.errors import DataError
from betaearth.pipeline.counting import counted

POLL_S = 1.0
NOUNS = {"estimate": "estimate", "generate": "run"}
"""Task to what a visitor calls it."""


def size_line(choice: Choice, limit_mb: float) -> bool:
    """Say at once how large the output would be; returns whether the server takes it."""
    if choice.grid is None:
        st.write("How large the output is, the estimate says: only OpenStreetMap knows the area.")
        return True
    grid = choice.grid
    try:
        size = check_size(choice, grid, limit_mb)
    except DataError as error:
        st.error(f"Too large. {error}")
        return False
    km = grid.resolution / 1000
    st.write(
        f"{grid.width * km:.1f} km x {grid.height * km:.1f} km, {grid.width:,} x {grid.height:,} pixels, "
        f"{counted(len(choice.years), 'year')}: {size_text(size)} of {size_text(round(limit_mb * 1e6))} at most."
    )
    return True


def estimate_part(board: Board, desk: Desk, choice: Choice | None) -> None:
    """Show the estimate, and what begins it."""
    st.header("2. Estimate")
    fits = choice is not None and size_line(choice, board.max_output_mb)
    job = desk.estimate
    working = job is not None and not job.over
    if st.button("Estimate", disabled=not fits or working) and choice is not None:
        board.estimate(desk, choice)
        st.rerun()
    if job is None:
        return
    if working:
        watched(board, desk, job)
    elif job.state is State.CANCELLED:
        st.info("The estimate was cancelled.")
    elif job.state is State.FAILED:
        st.error("There is no estimate.")
        st.text(job.failure)
        remarks(progress_of(job.lines))
    else:
        if job.order.choice != choice:
            st.warning("The choice has changed since this estimate: estimate again.")
        estimate_table(job)


def estimate_table(job: Job) -> None:
    """Show what an estimate found."""
    rows = job.result["years"]
    st.table(
        [
            {
                "Year": str(row["year"]),
                "Scenes": f"{row['scenes']:,}",
                "To read": size_text(row["bytes"]),
                "Computing": duration_text(row["seconds"]),
                "Output": size_text(row["output_bytes"]),
            }
            for row in rows
        ]
    )
    scenes = counted(sum(row["scenes"] for row in rows), "scene")
    st.write(
        f"In all {scenes}, {size_text(sum(row['bytes'] for row in rows))} to read, about "
        f"{duration_text(sum(row['seconds'] for row in rows))} of computing on {rows[0]['device']}, "
        f"{size_text(job.result['output_bytes'])} of output. All but the counts of scenes is reckoned; reading goes on "
        "beside computing."
    )
    remarks(progress_of(job.lines))


def run_part(board: Board, desk: Desk, choice: Choice | None) -> None:
    """Show the run, and what begins and ends it."""
    st.header("3. Run")
    job, estimate = desk.run, desk.estimate
    working = job is not None and not job.over
    known = estimate is not None and estimate.state is State.DONE and estimate.order.choice == choice
    if not known and not working:
        st.write("The estimate of what is chosen comes first.")
    elif not working and choice is not None and (there := years_there(desk, choice)):
        st.write(
            f"Made already of this area: {', '.join(map(str, there))}. What is there is kept where this choice asks "
            "for the same, and replaced where it asks for something else. Download first what you want to keep."
        )
    if st.button("Run", type="primary", disabled=not known or working) and choice is not None:
        board.run(desk, choice)
        st.rerun()
    if job is None:
        return
    if working:
        watched(board, desk, job)
    elif job.state is State.CANCELLED:
        st.info("Cancelled. What is finished is kept, and the same run goes on from there.")
    elif job.state is State.FAILED:
        st.error("The run failed.")
        st.text(job.failure)
        st.write("What is finished is kept, and the same run goes on from there.")
        remarks(progress_of(job.lines))
    else:
        st.success(f"Done: {years_text(progress_of(job.lines))}.")
        remarks(progress_of(job.lines))


def years_there(desk: Desk, choice: Choice) -> list[int]:
    """List the chosen years of the same area that are finished in a visitor's folder."""
    made = (made_year(desk.folder, f"{choice.name}/{year}.tif") for year in choice.years)
    return [each.year for each in made if each is not None]


def watched(board: Board, desk: Desk, job: Job) -> None:
    """Show a job that is not over, every second anew; the page follows when it is."""

    def show() -> None:
        presence(desk.token)  # after a connection that broke and came back only this part runs
        if job.over:
            st.rerun()
        if job.state is State.WAITING:
            st.info(f"Waiting for {counted(board.before(job), 'other')} on this server to end.")
        else:
            progress = progress_of(job.lines)
            show_progress(job, progress)
            if progress.finished:
                st.write(f"{years_text(progress)}.")
            remarks(progress)
        ended = job.told_to_end is not None
        if st.button(f"Cancel the {NOUNS[job.order.task]}", key=f"cancel_{job.order.task}", disabled=ended):
            job.cancel()

    st.fragment(show, run_every=POLL_S)()


def show_progress(job: Job, progress: Progress) -> None:
    """Show how far a run is; of an estimate only that it goes on, as nobody knows how far."""
    said = "Ending …" if job.told_to_end is not None else progress.sentence
    if job.order.task == "generate":
        st.progress(progress.fraction(len(job.order.choice.years)), text=said)
    else:
        st.status(said, state="running")


def years_text(progress: Progress) -> str:
    """Say what became of each year."""
    return "; ".join(f"{year} {what}" for year, what in sorted(progress.finished.items())) or "nothing to make"


def remarks(progress: Progress) -> None:
    """Show what should be known besides."""
    if progress.remarks:
        with st.expander(f"{counted(len(progress.remarks), 'remark')} on this work"):
            for said in progress.remarks[-REMARKS:]:
                st.text(said)
