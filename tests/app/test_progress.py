"""Progress is told from lines: the same that the command line writes."""

from __future__ import annotations

from dataclasses import asdict

from betaearth.app.job import parsed
from betaearth.app.progress import progress_of
from betaearth.cli.progress import event_name
from betaearth.events import (
    BlockStarted,
    Downloading,
    Event,
    GranuleDropped,
    Notice,
    Resumed,
    SceneEncoded,
    ScenesSelected,
    TileYearFinished,
    TileYearSkipped,
    TileYearStarted,
)


def told(*events: Event) -> list[dict[str, object]]:
    return [{"event": event_name(event), **asdict(event)} for event in events]


def test_before_anything() -> None:
    assert progress_of([]).sentence == "Loading the network, and looking for scenes"
    assert progress_of([]).fraction(2) == 0.0


def test_weights_arrive() -> None:
    arriving = progress_of(told(Downloading("model.safetensors", 50_000_000, 420_000_000)))
    assert arriving.sentence == "Downloading model.safetensors: 50 of 420 MB"
    assert progress_of(told(Downloading("a", 5_000_000, None))).sentence == "Downloading a: 5 MB"


def test_in_the_midst_of_the_second_year() -> None:
    progress = progress_of(
        told(
            TileYearStarted("area", 2020),
            TileYearFinished("area", 2020, "product", 61.0),
            TileYearStarted("area", 2021),
            ScenesSelected("area", 2021, granules=30, scenes=8),
            BlockStarted("area", 2021, index=2, total=4),
            SceneEncoded("area", 2021, scene="s", index=16, total=32, seconds_left=200.0),
        )
    )
    assert progress.sentence == "2021: 16 of 32 scenes, block 2 of 4, 3 min left"
    assert progress.finished == {2020: "made in 61 s"}
    assert progress.fraction(2) == 0.75


def test_a_year_that_was_there_and_one_without_imagery() -> None:
    progress = progress_of(
        told(TileYearSkipped("area", 2020), TileYearFinished("area", 2021, "empty", 2.0)),
    )
    assert progress.finished == {2020: "was there already", 2021: "without anything to observe in 2 s"}
    assert progress.fraction(2) == 1.0
    assert progress.sentence == "Writing what is left"


def test_remarks_are_told_once() -> None:
    said = told(
        Notice("made up"),
        Notice("made up"),
        Resumed("area", 2020, scenes=3),
        GranuleDropped("area", 2020, granule="G", reason="torn"),
    )
    assert progress_of(said).remarks == [
        "made up",
        "2020 goes on after 3 scenes that an earlier run had finished",
        "G is left out: torn",
    ]


def test_what_is_no_event_is_left_out() -> None:
    assert list(parsed(b'{"event": "a"}\nTraceback\n[1]\n{"no": 1}\n')) == [{"event": "a"}]
