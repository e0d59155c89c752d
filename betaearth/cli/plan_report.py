"""What `betaearth plan` says: rows for scripts, a table for people that stays readable for thousands of tile-years."""

from __future__ import annotations

import textwrap
from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from betaearth.cli.report import size_text
from betaearth.cli.table import line_width, table_text
from betaearth.pipeline.counting import counted
from betaearth.storage.discretion import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from betaearth.pipeline.plan import Planned
    from betaearth.pipeline.rates import Forecast

MOST_ROWS = 40
MOST_REASONS = 20
STATES = ("missing", "stale", "current")
LONGEST = 160
"""Letters of a reason in the table; all of them are in the JSON."""
LEGEND = "missing: not there; stale: made from something else; current: a run skips it"


def planned_row(entry: Planned) -> dict[str, Any]:
    """Describe a planned tile-year as plain values."""
    row: dict[str, Any] = {
        "cell": entry.name,
        "year": entry.year,
        "state": entry.state.value,
        "because": list(entry.because),
        "request_digest": entry.digest,
        "prefix": entry.prefix,
    }
    if entry.news is not None:
        row["granules"] = {"added": list(entry.news.added), "removed": list(entry.news.removed)}
    return row


def plan_row(planned: Sequence[Planned], forecast: Forecast | None) -> dict[str, Any]:
    """Describe a plan as plain values."""
    return {
        "counts": dict(sorted(Counter(entry.state.value for entry in planned).items())),
        "tile_years": [planned_row(entry) for entry in planned],
        **({"estimate": forecast_row(forecast)} if forecast else {}),
    }


def forecast_row(forecast: Forecast) -> dict[str, Any]:
    """Describe what a plan would take as plain values."""
    return {
        "tile_years": forecast.tile_years,
        "scenes": forecast.scenes,
        "bytes_in": forecast.bytes_in,
        "bytes_out": forecast.bytes_out,
        "device_hours": round(forecast.hours, 3),
        "unit": forecast.unit,
        "hourly_cost": forecast.hourly_cost,
        "cost": None if forecast.cost is None else round(forecast.cost, 2),
        "rates": asdict(forecast.rates) if forecast.rates else None,
    }


def plan_text(planned: Sequence[Planned]) -> str:
    """Render a plan for people: a line a tile-year as far as there is room, and the sums by year and by reason."""
    states = Counter(entry.state.value for entry in planned)
    sums = ", ".join(f"{count:,} {state}" for state, count in sorted(states.items()))
    total = f"{counted(len(planned), 'tile-year')}: {sums}" if planned else "no tile-years"
    years = ["", years_text(planned)] if len({entry.year for entry in planned}) > 1 else []
    return "\n".join([*rows_text(planned), *years, "", total, *reasons_text(planned), LEGEND])


def years_text(planned: Sequence[Planned]) -> str:
    """Render how many tile-years of each year are in which state, and all together."""
    states = [state for state in STATES if any(entry.state.value == state for entry in planned)]
    counts = Counter((entry.year, entry.state.value) for entry in planned)

    def row(name: str, years: Sequence[int]) -> tuple[str, ...]:
        found = [sum(counts[year, state] for year in years) for state in states]
        return (name, *(f"{count:,}" for count in (*found, sum(found))))

    years = sorted({entry.year for entry in planned})
    return table_text(("year", *states, "all"), [*(row(str(year), [year]) for year in years), row("all", years)])


def reasons_text(planned: Sequence[Planned]) -> list[str]:
    """Render how many are stale for which reason, the most frequent first."""
    reasons = Counter("; ".join(entry.because) for entry in planned if entry.because)
    ordered = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
    shown = [(f"{count:,}", f"because {_cut(reason)}") for reason, count in ordered[:MOST_REASONS]]
    hidden = len(ordered) - len(shown)
    more = [f"     and {counted(hidden, 'more reason')}: --json has all"] if hidden else []
    return [line for count, reason in shown for line in _hanging(f"{count:>8} ", reason)] + more


def rows_text(planned: Sequence[Planned]) -> list[str]:
    """Render a line a tile-year; of many only the first that would run."""
    if len(planned) <= MOST_ROWS:
        return [_rows(planned)] if planned else []
    due = [entry for entry in planned if entry.state.value != "current"]
    shown = due[:MOST_ROWS]
    hidden = len(planned) - len(shown)
    more = f"and {hidden:,} more, {len(due) - len(shown):,} of them to be made: --json has all"
    return [*([_rows(shown)] if shown else []), more]


def forecast_text(forecast: Forecast) -> str:
    """Render what a plan would take, and what that rests on."""
    rates = forecast.rates
    if rates is None:
        return "nothing to make, so nothing to estimate"
    cost = "" if forecast.cost is None else f", {forecast.cost:.2f} at {forecast.hourly_cost:g} an hour"
    scenes = counted(forecast.scenes, "scene")
    sums = (
        f"{forecast.tile_years:,} to be made: about {scenes}, {size_text(forecast.bytes_in)} in, "
        f"{size_text(forecast.bytes_out)} out, {forecast.hours:.3g} {forecast.unit} on {_line_of(rates.device)}{cost}"
    )
    if rates.basis == "reckoned":
        return (
            f"{sums}\nreckoned, not measured: the store has no product of the collection; from the scenes of one "
            f"tile-year and a trial on this machine, whose pace is not another's"
        )
    return (
        f"{sums}\nmeasured; products: {rates.products:,}, on {_line_of(rates.device)}; manifests: {rates.manifests:,}, "
        f"of {rates.basis}; hours include the reading"
    )


def _rows(planned: Sequence[Planned]) -> str:
    """Render a line a tile-year, the reason below itself where it is long."""
    rows = [(entry.name, str(entry.year), entry.state.value, _cut("; ".join(entry.because))) for entry in planned]
    if any(entry.because for entry in planned):
        return table_text(("cell", "year", "state", "because"), rows, left=("cell", "state", "because"))
    return table_text(("cell", "year", "state"), [row[:3] for row in rows], left=("cell", "state"))


def _hanging(start: str, text: str) -> list[str]:
    indent = " " * len(start)
    return textwrap.wrap(text, line_width(), initial_indent=start, subsequent_indent=indent, break_on_hyphens=False)


def _cut(text: str) -> str:
    text = _line_of(text)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."


def _line_of(text: str) -> str:
    """Return a text that stays on its line and steers no terminal."""
    return printable(text).replace("\n", "\\n")
