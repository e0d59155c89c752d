"""What `betaearth status` says: rows for scripts, sentences for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from betaearth.cli.report import duration_text
from betaearth.cli.table import table_text
from betaearth.cluster.board import region_words
from betaearth.cluster.parts import State
from betaearth.pipeline.counting import counted
from betaearth.storage.discretion import printable

if TYPE_CHECKING:
    from betaearth.cluster.parts import Part, Step, TileYear
    from betaearth.cluster.reasons import Reason
    from betaearth.cluster.status import RunStatus

SHOWN = 20
"""Tile-years that are printed for people; --failed and --json list all."""
ORDINARY = frozenset({"waiting", "semaphore", "starting"})
"""Reasons to wait that are no trouble."""
LONG_LINE = 160
"""Letters of a line in the list of runs: each run has one, whatever the terminal, so that tools for lines serve."""
COLUMNS = ("run", "phase", "started", "took", "years", "region")


def run_row(status: RunStatus, lines: Mapping[str, Sequence[str]], *, failed: bool) -> dict[str, Any]:
    """Describe a run as plain values.

    Args:
        status: of the run.
        lines: last lines by the names of pods.
        failed: whether only tile-years that failed are listed; they are counted all the same.
    """
    return {
        "run": status.run,
        "phase": status.phase,
        "over": status.over,
        "reason": _reason_row(status.reason),
        "started": status.started,
        "finished": status.finished,
        "counts": {state.value: count for state, count in status.counts.items()},
        "retried": status.retried,
        "shards": {shard: state.value for shard, state in status.shards.items()},
        "steps": [{**asdict(step), "reason": _reason_row(step.reason)} for step in status.steps],
        "troubles": [
            {"state": state.value, "tile_years": count, **(_reason_row(reason) or {})}
            for state, reason, count in status.troubles()
        ],
        "notes": list(status.notes),
        "tile_years": [
            tile_year_row(row, lines) for row in status.tile_years if not failed or row.state is State.FAILED
        ],
    }


def tile_year_row(row: TileYear, lines: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Describe a tile-year as plain values."""
    return {
        "cell": row.cell,
        "year": int(row.year) if row.year.isdigit() else None,
        "state": row.state.value,
        "attempts": row.attempts,
        "reason": _reason_row(row.reason),
        "pod": row.pod,
        "workflow": row.workflow,
        "together": row.together,
        "log": list(lines.get(row.pod or "", ())),
    }


def _reason_row(reason: Reason | None) -> dict[str, str] | None:
    return asdict(reason) if reason else None


def run_text(status: RunStatus, lines: Mapping[str, Sequence[str]], *, failed: bool) -> str:
    """Render a run for people: the counts, what keeps it with what to do, and the tile-years that matter."""
    rows = [row for row in status.tile_years if row.state is State.FAILED] if failed else troubled(status)
    shown = rows if failed else rows[:SHOWN]
    more = [f"  and {len(rows) - len(shown)} more: --json lists all"] if len(rows) > len(shown) else []
    listed = [line for row in shown for line in _tile_year_lines(row, lines)]
    return printable(
        "\n".join(
            [
                _head(status),
                *_counts(status),
                *(f"  note: {note}" for note in status.notes),
                *(line for step in status.steps for line in _step_lines(step, status.run)),
                *(
                    line
                    for state, reason, count in status.troubles()
                    for line in _why(state, reason, count, status.run)
                ),
                *(["tile-years that failed, or are not going well:", *listed, *more] if listed else []),
            ]
        )
    )


def summary(status: RunStatus) -> str:
    """Render a run in one line."""
    counts = ", ".join(f"{count} {state}" for state, count in status.counts.items() if count) or "none known yet"
    done = sum(state is State.DONE for state in status.shards.values())
    return f"{status.run}  {status.phase}  shards {done}/{len(status.shards)} done  tile-years: {counts}"


def troubled(status: RunStatus) -> list[TileYear]:
    """List the tile-years that somebody should look at: failed ones, those tried again, those kept waiting."""
    order = {State.FAILED: 0, State.RUNNING: 1, State.PENDING: 2}
    rows = [
        row
        for row in status.tile_years
        if row.state in order and (row.state is State.FAILED or (row.reason and row.reason.kind not in ORDINARY))
    ]
    return sorted(rows, key=lambda row: (order[row.state], -row.attempts))


def _head(status: RunStatus) -> str:
    words = [status.run, status.phase]
    if status.started:
        words.append(f"started {_clock(status.started)}, {_took(status.started, status.finished)}")
    if status.reason:
        words.append(f"({_said(status.reason)})")
    return "  ".join(words)


def _said(reason: Reason) -> str:
    """What is known of it in one line: what nobody has words for speaks for itself."""
    return reason.detail if reason.kind == "other" else reason.text


def _counts(status: RunStatus) -> list[str]:
    """Render how many shards and tile-years are in which state; states that nothing is in have no column."""
    counts = {"shards": Counter(status.shards.values()), "tile-years": Counter(status.counts)}
    there = {name: states for name, states in counts.items() if states.total()}
    if not there:
        return []
    shown = [state for state in State if any(states[state] for states in there.values())]
    rows = [(name, f"{states.total():,}", *(f"{states[state]:,}" for state in shown)) for name, states in there.items()]
    table = table_text(("", "all", *(state.value for state in shown)), rows, left=("",))
    return [table, *([f"{counted(status.retried, 'tile-year')} tried more than once"] if status.retried else [])]


def _step_lines(step: Step, run: str) -> list[str]:
    line = f"step        {step.name}: {step.state}"
    if step.attempts > 1:
        line += f", {step.attempts} attempts"
    if step.reason is None:
        return [line]
    where = [f"            in pod {step.pod}"] if step.pod and step.state is State.FAILED else []
    return [f"{line}: {step.reason.text}", *_advice(step.reason, run, 12), *_detail(step.reason, 12), *where]


def _why(state: State, reason: Reason, count: int, run: str) -> list[str]:
    return [f"{state:<8}  {count:>6,}  {reason.text}", *_advice(reason, run, 18), *_detail(reason, 18)]


def _advice(reason: Reason, run: str, by: int) -> list[str]:
    return [f"{' ' * by}-> {reason.advice.replace('resubmit RUN', f'resubmit {run}')}"] if reason.advice else []


def _detail(reason: Reason, by: int) -> list[str]:
    return [f"{' ' * by}({reason.detail})"] if reason.detail and reason.kind not in ORDINARY else []


def _tile_year_lines(row: TileYear, lines: Mapping[str, Sequence[str]]) -> list[str]:
    words = [f"  {row.name}", row.state.value, f"attempt {row.attempts}" if row.attempts else "no attempt"]
    if row.reason:
        words.append(row.reason.kind)
    if row.together > 1:
        words.append(f"one of {row.together} in its pod")
    if row.pod:
        words.append(row.pod)
    return ["  ".join(words), *(f"      | {printable(line)}" for line in lines.get(row.pod or "", ()))]


def runs_rows(parts: Sequence[Part]) -> list[dict[str, Any]]:
    """Describe runs as plain values."""
    return [
        {
            "run": part.name,
            "phase": part.phase or "Pending",
            "started": part.started,
            "finished": part.finished,
            "shards": None if part.shards is None else len(part.shards),
            "years": part.arguments.get("years", ""),
            "region": region_words(part.arguments),
            "reason": _reason_row(part.reason),
        }
        for part in parts
    ]


def runs_text(parts: Sequence[Part], namespace: str) -> str:
    """Render runs for people: a line a run."""
    if not parts:
        return f"no runs in the namespace {namespace}: `betaearth submit` starts one"
    rows = [
        (
            part.name,
            part.phase or "Pending",
            _clock(part.started) if part.started else "",
            _took(part.started, part.finished) if part.started else "",
            printable(part.arguments.get("years", "")),
            "archived" if part.hidden and not part.arguments else printable(region_words(part.arguments)),
        )
        for part in parts
    ]
    return table_text(COLUMNS, rows, left={*COLUMNS} - {"took"}, width=LONG_LINE)


def _clock(time: str) -> str:
    return f"{time[:10]} {time[11:16]} UTC"


def _took(started: str, finished: str | None) -> str:
    end = datetime.fromisoformat(finished) if finished else datetime.now(UTC)
    return duration_text(max(0.0, (end - datetime.fromisoformat(started)).total_seconds()))
