"""Blocks: they cover the grid, read what their windows see, and give the numbers of the whole."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from betaearth.errors import DataError
from betaearth.inference import blocks as module
from betaearth.inference.annual import InferenceOptions, Inputs, annual_embedding
from betaearth.inference.blocks import BLOCK_EDGE, TRAINED_EXTENT, Block, blocks, whole
from betaearth.inference.model import BetaEarth
from betaearth.inference.windows import Place, Tiling, extents
from betaearth.products.embedding import Embedding
from betaearth.scenes.model import Sensor

Cut = tuple[tuple[int, int], int, int, int, int]


@st.composite
def cuts(draw: st.DrawFn) -> Cut:
    """Shape, halo, tile size, overlap, edge."""
    tile_size = 32 * draw(st.integers(1, 4))
    overlap = draw(st.integers(0, tile_size // 2) | st.integers(0, tile_size - 16))
    shape = (draw(st.integers(1, 500)), draw(st.integers(1, 500)))
    return shape, draw(st.integers(0, 90)), tile_size, overlap, draw(st.integers(60, 400))


def made(cut: Cut) -> list[Block]:
    shape, halo, tile_size, overlap, edge = cut
    return blocks(shape, halo=halo, tile_size=tile_size, overlap=overlap, edge=edge)


@settings(deadline=None, max_examples=40)
@given(cuts())
def test_every_pixel_of_the_grid_is_kept_once(cut: Cut) -> None:
    shape, halo, *_, edge = cut
    count = np.zeros((shape[0] + 2 * halo, shape[1] + 2 * halo), np.uint8)
    for block in made(cut):
        assert block.area == count.shape
        assert max(block.shape) <= edge
        assert all((part.start - halo) % edge == 0 for part in block.kept)
        count[block.kept] += 1
    inside = count[halo : halo + shape[0], halo : halo + shape[1]]
    assert inside.min() == inside.max() == 1
    assert count.sum() == prod(shape)


@settings(deadline=None, max_examples=40)
@given(cuts())
def test_it_reads_its_windows_of_the_areas_lattice_and_no_more(cut: Cut) -> None:
    shape, halo, tile_size, overlap, _ = cut
    lattice = Tiling((shape[0] + 2 * halo, shape[1] + 2 * halo), tile_size, overlap)
    top, left = lattice.inner[0].start, lattice.inner[1].start
    everywhere = [(window.y, window.x) for window in lattice.windows()]
    for block in made(cut):
        rows, columns = block.kept
        wanted = [
            (y, x)
            for y, x in everywhere
            if y < rows.stop + top
            and x < columns.stop + left
            and y + tile_size > rows.start + top
            and x + tile_size > columns.start + left
        ]
        outer = block.outer
        assert [(w.y + outer[0].start, w.x + outer[1].start) for w in block.tiling.windows()] == wanted
        seen = np.zeros(block.area, np.bool_)
        for y, x in wanted:
            seen[max(y - top, 0) : y - top + tile_size, max(x - left, 0) : x - left + tile_size] = True
        read = np.zeros(block.area, np.bool_)
        read[outer] = True
        assert np.array_equal(seen, read)


@settings(deadline=None, max_examples=20)
@given(st.tuples(st.integers(1, 3000), st.integers(1, 3000)), st.integers(0, 300), st.sampled_from([112, 0]), st.data())
def test_elevation_is_read_where_the_scaling_looks(
    shape: tuple[int, int], halo: int, overlap: int, data: st.DataObject
) -> None:
    made_of = blocks(shape, halo=halo, tile_size=224, overlap=overlap, edge=data.draw(st.integers(400, 1792)))
    block = data.draw(st.sampled_from(made_of))
    looked = [block.outer]
    for window in block.tiling.windows():
        rows, columns = block.surroundings(window)
        place = tuple(
            slice(part.start + own.start, part.stop + own.start)
            for part, own in zip((rows, columns), block.heights, strict=True)
        )
        for part, size in zip(place, shape, strict=True):
            assert part.stop - part.start == min(max(TRAINED_EXTENT, 224), size)
            assert halo <= part.start < part.stop <= halo + size
        looked.append((place[0], place[1]))
    for axis in (0, 1):
        assert block.heights[axis].start == min(place[axis].start for place in looked)
        assert block.heights[axis].stop == max(place[axis].stop for place in looked)


def test_a_tile_year_is_one_block_of_81_windows() -> None:
    (block,) = blocks((1068, 1068), tile_size=224, overlap=112)
    assert block == whole((1068, 1068), tile_size=224, overlap=112)
    assert block.kept == block.outer == block.heights == (slice(0, 1068), slice(0, 1068))
    assert list(block.tiling.windows()) == list(Tiling((1068, 1068)).windows())
    assert BLOCK_EDGE % 256 == 0


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"shape": (0, 5)}, r"\(0, 5\) holds no pixel"),
        ({"tile_size": 50}, "tile_size 50"),
        ({"overlap": 64}, "overlap 64"),
        ({"halo": -6}, "halo -6"),
        ({"edge": 0}, "edge 0"),
    ],
)
def test_impossible_cuts_are_refused(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(DataError, match=words):
        blocks(**{"shape": (9, 9), "tile_size": 64, "overlap": 32, **wrong})


def area_of(shape: tuple[int, int], halo: int) -> tuple[list[Inputs], NDArray[np.float32]]:
    """Three observations over an area, one of two sensors, and its elevation, which rises all over the area."""
    size = (shape[0] + 2 * halo, shape[1] + 2 * halo)
    rng = np.random.default_rng(5)
    given = []
    for day in (20, 120, 300):
        arrays: dict[Sensor, Any] = {Sensor.S1: rng.uniform(0.001, 0.5, (2, *size)).astype(np.float32)}
        if day != 120:
            arrays[Sensor.S2_L2A] = rng.integers(1, 6000, (9, *size), dtype=np.uint16)
        given.append(Inputs(arrays, day, rng.integers(0, 3, size, dtype=np.uint16)))
    slope = np.linspace(0, 2000, size[1]) + np.linspace(0, 700, size[0])[:, None]
    return given, (slope + rng.uniform(0, 90, size))[None].astype(np.float32)


def part(given: Inputs, place: Place) -> Inputs:
    arrays = {sensor: array[(slice(None), *place)] for sensor, array in given.arrays.items()}
    return Inputs(arrays, given.doy, given.weight[place])


def embed(
    model: BetaEarth, shape: tuple[int, int], options: InferenceOptions, *, halo: int, edge: int, dem: bool
) -> Embedding:
    """Make an area block by block and put it together."""
    inputs, metres = area_of(shape, halo)
    vectors = np.full((*shape, 64), np.nan, np.float32)
    count, dispersion = np.zeros(shape, np.uint16), np.full(shape, np.nan, np.float32)
    for block in blocks(shape, halo=halo, **options.windows, edge=edge):
        heights = metres[(slice(None), *block.heights)] if dem else None
        made = annual_embedding(model, [part(entry, block.outer) for entry in inputs], heights, block, options)
        rows, columns = (slice(kept.start - halo, kept.stop - halo) for kept in block.kept)
        vectors[rows, columns], count[rows, columns] = made.vectors, made.count
        dispersion[rows, columns] = made.dispersion
    return Embedding(vectors, count, dispersion)


@pytest.mark.parametrize(
    ("shape", "tile_size", "overlap", "halo", "edge", "dem"),
    [
        ((150, 201), 64, 32, 0, 96, True),
        ((150, 201), 64, 32, 30, 96, True),
        ((131, 97), 64, 0, 0, 96, True),
        ((101, 137), 64, 44, 18, 70, False),
        ((40, 230), 64, 32, 0, 96, True),
        ((40, 150), 64, 32, 6, 64, True),
        ((230, 300), 224, 112, 0, 256, True),
    ],
)
def test_blocks_give_what_the_whole_gives(
    demo: BetaEarth,
    monkeypatch: pytest.MonkeyPatch,
    shape: tuple[int, int],
    tile_size: int,
    overlap: int,
    halo: int,
    edge: int,
    dem: bool,
) -> None:
    monkeypatch.setattr(module, "TRAINED_EXTENT", 90)  # so that the range differs from window to window
    options = InferenceOptions(tile_size=tile_size, overlap=overlap)
    assert len(blocks(shape, halo=halo, **options.windows, edge=edge)) > 1
    parts = embed(demo, shape, options, halo=halo, edge=edge, dem=dem)
    once = embed(demo, shape, options, halo=halo, edge=max(shape), dem=dem)
    assert np.array_equal(parts.count, once.count)
    assert np.abs(parts.vectors - once.vectors).max() <= 1e-6
    assert np.abs(parts.dispersion - once.dispersion).max() <= 1e-6


@pytest.mark.parametrize("edge", [64, 200])
def test_a_halo_gives_what_cropping_gives(demo: BetaEarth, edge: int) -> None:
    """Against `predict` over the larger area, with a fixed scale of elevation: its own would be that of its extent."""
    shape, halo = (100, 120), 18
    inputs, metres = area_of(shape, halo)
    options = InferenceOptions(tile_size=64, overlap=32, dem_scaling="fixed", dem_range=(0, 3000))
    total = np.zeros((*metres.shape[1:], 64))
    for entry in inputs:
        arrays: dict[str, Any] = {sensor.value: array for sensor, array in entry.arrays.items()}
        vectors = demo.predict(
            **scaled(arrays),
            dem=metres / np.float32(3000),
            doy=entry.doy,
            tile_size=64,
            overlap=32,
            normalise=False,
        )
        total += entry.weight[..., None] * vectors
    expected = total[halo:-halo, halo:-halo]
    length = np.linalg.norm(expected, axis=-1, keepdims=True)
    actual = embed(demo, shape, options, halo=halo, edge=edge, dem=True)
    seen = actual.valid
    assert np.abs(actual.vectors[seen] - (expected / np.maximum(length, 1e-9))[seen]).max() < 5e-6
    without = embed(demo, shape, options, halo=0, edge=edge, dem=True)
    assert np.abs(actual.vectors - without.vectors).max() > 1e-3


def scaled(arrays: dict[str, Any]) -> dict[str, Any]:
    """Digital numbers and power as the networks take them."""
    out = {"s1": np.clip((10 * np.log10(arrays["s1"]) + 25) / 25, 0, 1).astype(np.float32)}
    if "s2_l2a" in arrays:
        out["s2_l2a"] = (arrays["s2_l2a"] / np.float32(10000)).astype(np.float32)
    return out


def test_the_tail_runs_on_what_is_kept_alone(demo: BetaEarth, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pixels that pass the last step, against those that the block keeps; and windows, against those that touch it."""
    options = InferenceOptions(tile_size=64, overlap=32)
    block = blocks((300, 300), halo=30, **options.windows, edge=96)[4]
    assert prod(extents(block.outer)) > 1.5 * prod(block.shape)
    inputs, _ = area_of((300, 300), 30)
    everywhere = Inputs(inputs[1].arrays, 120, np.ones_like(inputs[1].weight))
    network = demo._network
    embedded: list[int] = []
    activated: list[int] = []

    def counting(step: Callable[[Tensor], Tensor], pixels: list[int]) -> Callable[[Tensor], Tensor]:
        def counted(x: Tensor) -> Tensor:
            pixels.append(prod(x.shape[:-1]))
            return step(x)

        return counted

    monkeypatch.setattr(network, "embed", counting(network.embed, embedded))
    monkeypatch.setattr(network, "activate", counting(network.activate, activated))
    annual_embedding(demo, [part(everywhere, block.outer)], None, block, options)
    assert sum(embedded) == prod(block.shape)
    inner = block.tiling.inner
    covered = 0
    for window in block.tiling.windows():
        sides = (
            min(kept.stop, own.stop) - max(kept.start, own.start)
            for kept, own in zip(inner, window.slices, strict=True)
        )
        covered += prod(sides)
    assert sum(activated) == covered
