"""Tables for people: nothing is lost, whatever the width."""

from __future__ import annotations

import pytest

from betaearth.cli.table import NARROWEST, WIDEST, line_width, table_text


def test_numbers_stand_right_and_words_left() -> None:
    rows = [("a", "5", "done"), ("long name", "1,234", "failed")]
    assert table_text(("name", "count", "state"), rows, left=("name", "state"), width=80) == (
        "name       count  state\na              5  done\nlong name  1,234  failed"
    )


@pytest.mark.parametrize("width", [10, 30, 80])
def test_the_last_column_goes_on_below_itself(width: int) -> None:
    said = "weights 0123456789 -> abcdefghij; selection.max_cloud 20.0 -> 10.0; an-ingredient-with-hyphens"
    text = table_text(("cell", "because"), [("433U_1046R", said), ("1U_1R", "")], left=("cell", "because"), width=width)
    head, *lines, last = text.splitlines()
    assert head == "cell        because"
    assert last == "1U_1R"
    assert "".join(line[12:] for line in lines).replace(" ", "") == said.replace(" ", "")
    assert all(line[:12].strip() in {"433U_1046R", ""} for line in lines)
    assert max(len(line) - 12 for line in lines) <= max(NARROWEST, width - 12)


def test_a_last_column_of_numbers_is_not_broken() -> None:
    assert table_text(("", "all"), [("tile-years", "1,234,567")], left=("",), width=5).splitlines() == [
        "                  all",
        "tile-years  1,234,567",
    ]


@pytest.mark.parametrize(("columns", "width"), [("60", 60), ("500", WIDEST), (None, 80)])
def test_lines_are_as_wide_as_the_terminal(columns: str | None, width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.setattr("os.get_terminal_size", _no_terminal)
    if columns:
        monkeypatch.setenv("COLUMNS", columns)
    assert line_width() == width


def _no_terminal(*_: int) -> None:
    raise OSError("no terminal")
