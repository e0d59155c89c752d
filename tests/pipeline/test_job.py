"""A job knows its request digest before any search, and every ingredient is part of it."""

from __future__ import annotations

from datetime import date
from types import SimpleNamespace
from typing import Any, cast

import pytest

from betaearth.errors import DataError
from betaearth.events import Event, Notice
from betaearth.grid.majortom import MajorTomGrid
from betaearth.inference.model import BetaEarth
from betaearth.pipeline.job import check_year, tile_year, warn_unfinished
from betaearth.pipeline.options import ProductionOptions
from betaearth.scenes.model import Source
from betaearth.synthetic.source import DEMO_LONLAT
from tests.pipeline.conftest import Workshop


def digest_of(workshop: Workshop, **changes: Any) -> str:
    fields: dict[str, Any] = {"cell": workshop.cell, "year": 2021, "options": ProductionOptions(), **changes}
    model = SimpleNamespace(
        variant=workshop.model.variant,
        trained=False,
        weights_sha256=changes.get("weights", workshop.model.weights_sha256),
        origin=changes.get("origin", "x"),
        backbone=None,
    )
    source = SimpleNamespace(identity=changes.get("source", workshop.source.identity), synthetic=True)
    return tile_year(
        fields["cell"],
        fields["year"],
        model=cast("BetaEarth", model),
        source=cast("Source", source),
        options=fields["options"],
    ).digest


def test_every_ingredient_changes_the_request_digest(workshop: Workshop) -> None:
    digests = [
        digest_of(workshop),
        digest_of(workshop, cell=workshop.cell.grid.cell_at(DEMO_LONLAT[0] + 0.01, DEMO_LONLAT[1])),
        digest_of(workshop, cell=MajorTomGrid(1000.0).cell_at(*DEMO_LONLAT)),
        digest_of(workshop, year=2022),
        digest_of(workshop, weights="0" * 64),
        digest_of(workshop, source="synthetic:v1:seed=1"),
    ]
    for group, change in (
        ("selection", {"max_cloud": 21.0}),
        ("selection", {"max_per_quarter": 5}),
        ("selection", {"s1_per_quarter": 2}),
        ("inference", {"overlap": 64}),
        ("inference", {"tile_size": 256}),
        ("inference", {"precision": "bf16"}),
        ("product", {"dtype": "float32"}),
    ):
        digests.append(digest_of(workshop, options=ProductionOptions.model_validate({group: change})))
    assert len(set(digests)) == len(digests)


def test_what_does_not_determine_the_product_does_not(workshop: Workshop) -> None:
    assert digest_of(workshop) == digest_of(workshop, origin="another folder")


@pytest.mark.parametrize("year", [2015, 2024, 2026])
def test_years_that_can_be_made(year: int) -> None:
    assert check_year(year, today=date(2026, 11, 22)) == year


@pytest.mark.parametrize("year", [-1, 1999, 2014, 2027, 9999])
def test_years_that_cannot(year: int) -> None:
    with pytest.raises(DataError, match="2015 to 2026"):
        check_year(year, today=date(2026, 11, 22))


def test_a_year_that_is_not_over_is_said() -> None:
    events: list[Event] = []
    warn_unfinished(2025, events.append, today=date(2026, 11, 22))
    assert events == []
    warn_unfinished(2026, events.append, today=date(2026, 11, 22))
    assert [type(event) for event in events] == [Notice]
