"""The figures of the pages are those that the script reckons, and the script's inputs are what was measured."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks import scale, sizes
from benchmarks.markdown import size
from benchmarks.world import CARDS, SOURCES, World
from betaearth.grid.majortom import MajorTomGrid
from betaearth.grid.patch import pixel_grid
from betaearth.grid.region import Region
from betaearth.pipeline.limits import MOST_SHARDS
from betaearth.products.options import WRITTEN
from betaearth.products.runs import SHARD_SIZE
from betaearth.storage.s3_client import S3Options
from tests.argo import objects
from tests.argo.manifests import read_bundle
from tests.docs.pages import PAGES, ROOT, Page

RESULTS = ROOT / "benchmarks" / "results"
SCALE = next(page for page in PAGES if page.name == "scale")
SIZING = next(page for page in PAGES if page.name == "sizing")
PARAMETERS_OF_ROBUST = 104_838_272


def between(page: Page, command: str) -> str:
    """Return what a page quotes of a command."""
    return page.text.split(f"<!-- {command} -->\n", 1)[1].split("\n<!-- end -->", 1)[0]


def printed(*arguments: str) -> str:
    command = [sys.executable, "-m", "benchmarks.scale", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout.rstrip("\n")


def result(name: str) -> dict[str, Any]:
    (path,) = RESULTS.glob(f"{name}-*.json")
    report: dict[str, Any] = json.loads(path.read_text())
    return report


def test_the_pages_quote_what_the_script_prints() -> None:
    assert between(SCALE, "python -m benchmarks.scale --page scale") == printed()
    assert between(SIZING, "python -m benchmarks.scale --page sizing") == printed("--page", "sizing")


@pytest.mark.parametrize("page", [SCALE, SIZING], ids=lambda page: page.name)
def test_large_numbers_of_the_text_are_in_the_tables(page: Page) -> None:
    """What a paragraph says must not outlive a change of the script."""
    tables = scale.scale_page(World()) + scale.sizing_page(World())
    text = re.sub(r"<!-- python.*?<!-- end -->", "", page.text, flags=re.DOTALL)
    spoken = re.findall(r"\b\d{1,3}(?:,\d{3})+\b|\b[\d.]+ [PG]B|\b\d+%", text)
    assert spoken
    assert [number for number in spoken if number not in tables] == []


def test_every_input_has_a_source() -> None:
    assert set(SOURCES) == {field.name for field in fields(World)}
    assert {how for _, how, _ in SOURCES.values()} <= {"counted", "measured", "reckoned", "chosen", "assumed"}


def test_inputs_are_what_was_measured() -> None:
    world = World()
    read = result("read")["ways"][0]
    assert (world.read_requests, world.read_bytes) == (read["requests"], read["bytes"])
    published = result("publish")
    turns = {(turn["items"], turn["kind"]): turn["traffic"] for turn in published["turns"]}
    fresh, look = turns[100_000, "fresh"], turns[100_000, "nothing new"]
    assert world.publish_requests == sum(fresh["requests"].values())
    assert world.publish_writes == fresh["requests"]["PUT"]
    assert world.publish_sent == fresh["sent"]
    assert world.look_requests == sum(look["requests"].values())
    assert published["batch"] == world.shard_size == SHARD_SIZE
    assert world.most_shards == MOST_SHARDS
    (largest,) = (each for each in published["catalogs"] if each["items"] == 100_000)
    assert world.mirror_bytes == largest["mirror"]["bytes_per_item"]


def test_a_workflow_is_kept_as_long_as_its_template_says() -> None:
    text = (ROOT / "argo" / "betaearth-shard.yaml").read_text()
    assert World().kept_s == yaml.safe_load(text)["spec"]["ttlStrategy"]["secondsAfterSuccess"]


def test_a_workflow_is_as_large_as_the_model_of_its_status(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects, "ATTEMPTS", 1)
    bundle = read_bundle()
    values = {**dict.fromkeys(bundle.parameters("betaearth-shard"), ""), "run": objects.RUN, "store": objects.STORE}
    for tiles in (1, 10):
        size = objects.size_of(objects.shard_object(bundle, 250, values, per_pod=tiles))
        assert replace(World(), tiles_per_pod=tiles).shard_object_bytes == pytest.approx(size.plain, rel=0.05)


def test_tables_are_written_between_the_marks(tmp_path: Path) -> None:
    for page in (SCALE, SIZING):
        mark = f"<!-- python -m benchmarks.scale --page {page.name} -->"
        (tmp_path / f"{page.name}.md").write_text(f"before\n{mark}\nold\n<!-- end -->\nafter\n")
    scale.write_pages(tmp_path)
    for page in (SCALE, SIZING):
        text = (tmp_path / f"{page.name}.md").read_text()
        assert between(page, f"python -m benchmarks.scale --page {page.name}") in text
        assert text.startswith("before\n")
        assert text.endswith("<!-- end -->\nafter\n")
        assert "\nold\n" not in text
    (tmp_path / "sizing.md").write_text("nothing")
    with pytest.raises(ValueError, match="sizing"):
        scale.write_pages(tmp_path)


def test_a_product_is_reckoned_as_an_estimate_does() -> None:
    grid = pixel_grid(MajorTomGrid().cell("433U_1046R"))
    assert World().product_bytes == pytest.approx(math.prod(grid.shape) * 64 * WRITTEN["int8"])
    assert World().product_bytes < S3Options().multipart_mib * 2**20  # one request
    assert World().weights_bytes == 4 * PARAMETERS_OF_ROBUST


def test_the_arithmetic_by_hand() -> None:
    world = World()
    assert world.tile_years == 2_245_886 * 9 == 20_212_974
    assert (world.band_cells, world.region_shards, world.regions, world.shards) == (224_589, 899, 90, 80_910)
    assert world.shards * world.shard_size >= world.tile_years
    assert world.gpu_hours(15) == pytest.approx((20_212_974 * 15 + 20_212_974 * 30) / 3600)
    ten = replace(world, tiles_per_pod=10)
    assert ten.gpu_pods == 2_021_298
    assert ten.gpu_hours(15) == pytest.approx((20_212_974 * 15 + 2_021_298 * 30) / 3600)
    assert world.sustained_hours(10) == pytest.approx(20_212_974 * 2.369 / 3600)
    requests = {row.what: row.figure for row in scale.publishing(world)}
    assert requests["requests, by shards"] == f"{80_910 * 1_263:,}"
    assert requests["one look through everything"] == f"{math.ceil(20_212_974 * 881 / 100_000):,}"


def test_regions_that_look_through_what_is_there_add_up() -> None:
    """Each looks through what those before it made, and its own."""
    world = World()
    looks = sum(number * world.band_cells * 881 / 100_000 for number in range(1, world.regions + 1))
    rows = {row.what: row.figure for row in scale.publishing(world)}
    assert rows["requests, by the regions' last step"] == f"{math.ceil(looks):,}"


def test_a_split_that_a_region_cannot_take_is_refused() -> None:
    with pytest.raises(SystemExit, match="shards"):
        replace(World(), bands=8).check()
    replace(World(), bands=9).check()


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--years", "-1", "-1 is not from 1 to 1,000"),
        ("--cells", "0", "0 is not from 1 to 1,000,000,000"),
        ("--bands", "1.5", "'1.5' is no whole number"),
        ("--tiles-per-pod", "1001", "1001 is not from 1 to 1,000"),
        ("--gpus", "none", "'none' is no whole number"),
        ("--seconds", "0", "0 is not from 0.001 to 86,400"),
        ("--seconds", "nan", "nan is not from"),
        ("--start", "-1", "-1 is not from 0 to 86,400"),
        ("--price", "inf", "inf is not from 0 to"),
        ("--price", "cheap", "'cheap' is no number"),
    ],
)
def test_a_number_that_cannot_be_is_a_usage_error(
    option: str, value: str, words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["scale", option, value])
    with pytest.raises(SystemExit) as caught:
        scale.main()
    assert caught.value.code == 2
    assert f"argument {option}: {words}" in capsys.readouterr().err


def test_extremes_that_are_taken_make_a_table(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for seconds, gpus in (("0.001", "1000000000"), ("86400", "1")):
        line = ["scale", "--cells", "1", "--years", "1", "--bands", "1", "--start", "0", "--seconds", seconds]
        monkeypatch.setattr(sys, "argv", [*line, "--gpus", gpus, "--price", "0"])
        scale.main()
        assert "### GPU-hours" in capsys.readouterr().out


def test_a_run_leaves_no_more_in_etcd_than_it_has() -> None:
    """A fast fleet would finish more shards in six hours than a small run has."""
    small = replace(World(), cells=5_000, years=2, bands=1)
    (row,) = scale.paces(small, [1], [1], gpus=1_000, price=None)
    assert row[8] == size(small.shards * small.shard_object_bytes)
    (slow,) = scale.paces(small, [600], [1], gpus=1, price=None)
    assert slow[8] == size(small.kept_s / 630 / small.shard_size * small.shard_object_bytes)


def test_a_price_makes_a_column() -> None:
    table = scale.scale_page(World(), [36], [1], gpus=10, price=2.0).rpartition("### GPU-hours")[2]
    (row,) = re.findall(r"^\| 36 .*$", table, re.MULTILINE)
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert float(cells[-1].replace(",", "")) == pytest.approx(2 * World().gpu_hours(36), abs=1)
    assert "money" in table
    assert "money" not in scale.scale_page(World())


def test_sizes_are_written_in_decimal_units() -> None:
    assert [size(value) for value in (0, 0.25, 7, 62_049_945.6, 5.438e15)] == [
        "0 B",
        "0.25 B",
        "7 B",
        "62 MB",
        "5.44 PB",
    ]
    assert size(1e18) == "1000 PB"


def test_floors_of_cards_follow_from_their_data_sheets() -> None:
    for card in CARDS:
        assert f"{23.69 / card.tflops:.2f} s" in scale.sizing_page(World())


def test_bands_of_the_page_share_no_cell_and_leave_none_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (code,) = SCALE.blocks("python")
    land = {"type": "Polygon", "coordinates": [[[5, 44], [9, 44], [12, 47.3], [7, 49], [5, 44]]]}
    monkeypatch.chdir(tmp_path)
    Path("land.geojson").write_text(json.dumps(land))
    exec(code, {})
    grid = MajorTomGrid()
    whole = {cell.id for cell in Region.from_geojson("land.geojson").cells(grid)}
    bands = [{cell.id for cell in Region.from_geojson(f"band-{band:02d}.geojson").cells(grid)} for band in range(10)]
    assert set().union(*bands) == whole
    assert sum(map(len, bands)) == len(whole)
    assert max(map(len, bands)) < 1.5 * min(map(len, bands))


def test_what_a_region_takes_is_a_sum_of_pods_and_tile_years() -> None:
    """100,000 tile-years of 60 s by 10,000 pods that start in 30 s."""
    many, read, stored, hours, money = sizes.rows(World(), [60.0], 1.5)[-1]
    assert hours == pytest.approx((100_000 * 60 + 10_000 * 30) / 3600)
    assert many == 100_000
    assert money == pytest.approx(1.5 * hours)
    assert (read, stored) == (many * World().read_bytes, many * World().product_bytes)
