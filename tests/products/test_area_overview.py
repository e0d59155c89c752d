"""What is drawn of an area's year, and the pictures that it is made of."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from betaearth.errors import DataError
from betaearth.products.area_overview import OBSERVED, AreaPictures, coverage_panel, observations_panel, preview_panel
from betaearth.products.manifest import Statistics
from betaearth.products.pictures import graded, middle, read_preview
from betaearth.products.sheet import NOTHING, PANEL, Ramp, ramp_colours

STATISTICS = Statistics(
    valid_fraction=0.5,
    observations_min=3,
    observations_mean=6.5,
    observations_max=10,
    dispersion_mean=0.1,
    norm_error_max=0.0,
)
COUNTS = np.array([[3.0, 10.0], [np.nan, np.nan]], np.float32)
PICTURES = AreaPictures(COUNTS, Image.new("RGBA", (2, 4), (1, 2, 3, 255)))


def quarters(picture: Image.Image) -> list[tuple[int, ...]]:
    pixels = np.asarray(picture)
    height, width = pixels.shape[:2]
    return [tuple(pixels[y * height // 4, x * width // 4]) for y in (1, 3) for x in (1, 3)]


def test_coverage_is_where_something_was_observed() -> None:
    panel = coverage_panel(STATISTICS, PICTURES)
    assert quarters(panel.picture) == [OBSERVED, OBSERVED, NOTHING, NOTHING]
    assert panel.note.startswith("50.0%")


def test_observations_are_graded_and_their_ends_are_said() -> None:
    panel = observations_panel(STATISTICS, PICTURES)
    dark, light = (tuple(each) for each in ramp_colours(np.array([0.0, 1.0])))
    assert quarters(panel.picture) == [dark, light, NOTHING, NOTHING]
    assert panel.ramp is not None
    assert (panel.ramp.low, panel.ramp.high) == ("3", "10")
    assert panel.note.startswith("mean 6.5, from 3 to 10")


def test_an_area_that_is_narrow_keeps_its_proportions_on_the_sheet() -> None:
    assert preview_panel(PICTURES).picture.size == (PANEL, 900)
    narrow = AreaPictures(COUNTS, Image.new("RGBA", (10, 400), (1, 2, 3, 255)))
    assert preview_panel(narrow).picture.size == (22, 900)


def test_the_ramp_grows_lighter() -> None:
    light = ramp_colours(np.linspace(0, 1, 50)).astype(float) @ (0.2126, 0.7152, 0.0722)
    assert (np.diff(light) > 0).all()
    assert tuple(np.asarray(graded(np.full((1, 1), 4.0), 4, 4))[0, 0]) == tuple(ramp_colours(np.array(1.0)))


def encoded(image: Image.Image, kind: str = "PNG") -> bytes:
    held = io.BytesIO()
    image.save(held, format=kind)
    return held.getvalue()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "corrupt"),
        (encoded(Image.new("RGBA", (64, 64)))[:60], "corrupt"),
        (encoded(Image.new("RGB", (8, 8)), "JPEG"), "no PNG"),
        (encoded(Image.new("RGBA", (513, 8))), "513 x 8"),
    ],
    ids=["empty", "cut off", "another format", "too large"],
)
def test_what_is_no_preview_is_refused(data: bytes, said: str) -> None:
    with pytest.raises(DataError, match=f"here.*{said}"):
        read_preview(data, where="here")


@pytest.mark.parametrize(("share", "size"), [(1.0, (10, 6)), (0.5, (6, 2)), (0.01, (2, 2))])
def test_the_middle_of_a_picture(share: float, size: tuple[int, int]) -> None:
    assert middle(Image.new("RGB", (10, 6)), share).size == size


@pytest.mark.parametrize(("low", "high"), [(8.0, 8.0), (7.9, 8.2)])
def test_one_count_has_one_colour(low: float, high: float) -> None:
    panel = observations_panel(STATISTICS, AreaPictures(np.array([[low, high]], np.float32), PICTURES.preview))
    assert panel.ramp == Ramp("8", "8")
    assert len(panel.picture.getcolors() or []) == 1


def test_where_nothing_was_observed_no_number_is_given() -> None:
    nothing = AreaPictures(np.full((2, 2), np.nan, np.float32), PICTURES.preview)
    assert observations_panel(STATISTICS, nothing).ramp is None
