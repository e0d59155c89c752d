"""Major TOM's Core datasets, read by ranges over a real server; values against rasterio."""

from __future__ import annotations

import errno
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]
import pytest
from affine import Affine
from numpy.typing import NDArray
from rasterio.io import MemoryFile

from betaearth.errors import ConfigError, DataError, TransientError
from betaearth.events import Event, Notice, RunPlanned
from betaearth.grid.pixels import PixelGrid
from betaearth.products.quantise import dequantise
from betaearth.scenes.model import S2_BANDS, Sensor
from betaearth.training import parquet_files
from betaearth.training.chips import CellYear
from betaearth.training.held_rasters import read_held
from betaearth.training.ledger import Ledger
from betaearth.training.majortom import major_tom_cells
from betaearth.training.majortom_index import Entry, Roots, read_index, sensed_of
from betaearth.training.majortom_matching import LACKING, Date, MajorTomOptions, Match, match_cell
from betaearth.training.majortom_rows import read_row
from betaearth.training.parquet_files import ParquetFiles
from betaearth.training.tally import Tally
from tests.scenes.conftest import Fault, FileServer, file_server
from tests.training.core_datasets import CORNERS, ELSEWHERE, PIXELS, SENSED, Core, noise, tif

__all__ = ["file_server"]

CELL, OTHER = sorted(CORNERS)
Cells = Callable[..., list[CellYear]]


@pytest.fixture
def core(tmp_path: Path) -> Core:
    return Core(tmp_path)


@pytest.fixture
def cells(core: Core) -> Cells:
    def read(**options: Any) -> list[CellYear]:
        root = str(options.pop("root", core.root))
        return list(major_tom_cells(Roots.below(root), files=options.pop("files", ParquetFiles()), **options))

    return read


def stored(content: bytes) -> NDArray[Any]:
    with MemoryFile(content) as memory, memory.open() as file:
        return np.asarray(file.read(1))


def bilinear_twice(values: NDArray[Any]) -> NDArray[np.float64]:
    """Pixels of half the size: a quarter of the neighbour, three quarters of the own one; the rim is continued."""
    padded = np.pad(values.astype(float), 1, mode="edge")
    for axis in (0, 1):
        padded = np.moveaxis(padded, axis, 0)
        before, own, after = padded[:-2], padded[1:-1], padded[2:]
        pairs = np.stack([0.25 * before + 0.75 * own, 0.75 * own + 0.25 * after], axis=1)
        padded = np.moveaxis(pairs.reshape(-1, *own.shape[1:]), 0, axis)
    return padded


def test_a_cell_is_read_on_the_pixels_of_its_level_2a(core: Core, cells: Cells) -> None:
    core.write()
    tally = Tally()
    found = cells(tally=tally)
    assert [(one.cell, one.year) for one in found] == [(CELL, 2021), (OTHER, 2021)]
    assert (tally.read, sum(tally.skipped.values())) == (2, 0)
    one, row = found[0], core.rows["Core-S2L2A"][0]
    assert one.lon == pytest.approx(-41.66, abs=0.05)
    assert one.lat == pytest.approx(-9.79, abs=0.05)
    (chip,) = one.chips
    assert chip.day == date(2021, 8, 24)
    assert chip.s2_l2a is not None
    assert chip.s2_l2a.dtype == np.uint16
    for index, band in enumerate(S2_BANDS):
        values = stored(row[band])
        if index < 4:
            assert np.array_equal(chip.s2_l2a[index], values)
        else:
            assert np.abs(chip.s2_l2a[index] - bilinear_twice(values)).max() <= 0.5
    assert chip.s2_l1c is not None
    assert np.array_equal(chip.s2_l1c[2], stored(core.rows["Core-S2L1C"][0]["B04"]))
    assert chip.s1 is not None
    power = stored(core.rows["Core-S1RTC"][0]["vh"])
    assert chip.s1[1, 3, 4] < 0  # the other polarisation has no data there
    assert np.array_equal(np.delete(chip.s1[1].ravel(), 3 * PIXELS + 4), np.delete(power.ravel(), 3 * PIXELS + 4))
    assert chip.clear is not None
    assert not chip.clear[:5].any()
    assert chip.clear[5:].all()
    assert one.dem is not None
    heights = stored(core.rows["Core-DEM"][0]["DEM"]).astype(float)
    mean = (heights[:-1, :-1] + heights[1:, :-1] + heights[:-1, 1:] + heights[1:, 1:]) / 4
    assert np.abs(one.dem[0] - mean[:PIXELS, :PIXELS]).max() < 0.01
    target = dequantise(np.arange(-32, 32, dtype=np.int8))
    read = dequantise(np.ascontiguousarray(np.moveaxis(one.target, 0, -1)))
    assert (read @ target).min() > 0.9995


def test_only_what_is_needed_crosses_the_network(core: Core, cells: Cells, file_server: FileServer) -> None:
    core.write()
    files = ParquetFiles()
    local = cells(cells=[CELL])
    (remote,) = cells(root=file_server.url, files=files, cells=[CELL.lower()])
    assert np.array_equal(remote.target, local[0].target)
    given = [one.chips[0].given() for one in (remote, local[0])]
    for sensor in (Sensor.S2_L2A, Sensor.S2_L1C, Sensor.S1):
        assert np.array_equal(given[0][sensor], given[1][sensor])
    whole = sum(path.stat().st_size for path in core.root.rglob("*") if path.is_file())
    assert whole > 8 * len(ELSEWHERE)
    assert files.traffic.bytes < whole / 8
    before = files.traffic
    entries = read_index(f"{file_server.url}/Core-S2L2A", files, frozenset({OTHER}))[OTHER]
    read_row(entries[0], Sensor.S2_L2A, files)
    assert files.traffic.requests - before.requests <= 3  # footers are known


def test_a_window_in_the_middle(core: Core, cells: Cells) -> None:
    core.write()
    whole, window = cells()[0], cells(options=MajorTomOptions(size_px=32))[0]
    assert window.target.shape == (64, 32, 32)
    for array, part in ((whole.chips[0].s2_l2a, window.chips[0].s2_l2a), (whole.dem, window.dem)):
        assert array is not None
        assert part is not None
        assert np.array_equal(part, array[:, 8:40, 8:40])
    assert (window.lon, window.lat) == pytest.approx((whole.lon, whole.lat), abs=1e-9)


def test_cells_that_lack_something_are_counted(core: Core, cells: Cells) -> None:
    core.rows["Core-S1RTC"].pop(0)
    core.write()
    tally, events = Tally(), list[Event]()
    assert [one.cell for one in cells(tally=tally, emit=events.append)] == [OTHER]
    reason = LACKING.format(sensor="s1")
    assert dict(tally.skipped) == {reason: 1}
    assert events == [RunPlanned(1, 1), Notice(f"1 left out: {reason} (first {CELL} 2021)")]
    optional = MajorTomOptions(needed=frozenset({Sensor.S2_L2A}))
    found = cells(options=optional)
    assert [one.chips[0].s1 is None for one in found] == [True, False]


def test_cells_without_target_and_of_other_years(core: Core, cells: Cells) -> None:
    core.rows["Core-AlphaEarth-Embeddings"] = []
    core.target(CELL, 2019)
    core.write()
    tally = Tally()
    with pytest.raises(DataError, match=f"no cell could be read.*no AlphaEarth embedding .first {OTHER}"):
        cells(cells=[CELL, OTHER], tally=tally)
    assert len(tally.skipped) == 2


def test_targets_from_elsewhere(core: Core) -> None:
    core.write()
    asked: list[tuple[str, int, PixelGrid]] = []

    def targets(cell: str, year: int, grid: PixelGrid) -> NDArray[np.int8]:
        asked.append((cell, year, grid))
        return np.full((64, *grid.shape), 7, np.int8)

    roots = Roots.below(str(core.root), targets=False)
    (one,) = major_tom_cells(roots, files=ParquetFiles(), cells=[CELL], targets=targets)
    assert (one.target == 7).all()
    assert asked[0][:2] == (CELL, 2021)
    assert asked[0][2].west == pytest.approx(CORNERS[CELL][0])
    with pytest.raises(ConfigError, match="which cells"):
        list(major_tom_cells(roots, files=ParquetFiles(), targets=targets))
    with pytest.raises(ConfigError, match="targets are needed"):
        list(major_tom_cells(roots, files=ParquetFiles()))


def test_a_limit_draws_by_seed(core: Core, cells: Cells) -> None:
    core.write()
    drawn = {seed: [one.cell for one in cells(limit=1, seed=seed)] for seed in range(8)}
    assert {CELL, OTHER} == {cell for (cell,) in drawn.values()}
    assert [one.cell for one in cells(limit=1, seed=3)] == drawn[3]


def damage_chunk(path: Path, group: int, column: str) -> None:
    metadata = pq.read_metadata(path).row_group(group)
    chunk = next(
        metadata.column(index)
        for index in range(metadata.num_columns)
        if metadata.column(index).path_in_schema == column
    )
    content = bytearray(path.read_bytes())
    start = chunk.dictionary_page_offset or chunk.data_page_offset
    content[start : start + 40] = b"\xff" * 40
    path.write_bytes(content)


class TestBadRows:
    def test_a_corrupt_row_group_costs_its_cell(self, core: Core, cells: Cells) -> None:
        core.write()
        damage_chunk(core.root / "Core-S2L1C/images/part_00001.parquet", 0, "B05")
        tally = Tally()
        assert [one.cell for one in cells(tally=tally)] == [OTHER]
        (example,) = tally.examples.values()
        assert "Core-S2L1C/images/part_00001.parquet, row group 0, " in example
        with pytest.raises(DataError, match=r"part_00001\.parquet, row group 0, .*B05.* is corrupt"):
            cells(ledger=Ledger(strict=True))

    def test_a_missing_column(self, core: Core, cells: Cells) -> None:
        for row in core.rows["Core-S1RTC"]:
            del row["vh"]
        core.write()
        with pytest.raises(DataError, match=r"Core-S1RTC/images/part_00001\.parquet has no column vh; it has .*vv"):
            cells(ledger=Ledger(strict=True))

    def test_a_band_of_other_ground(self, core: Core, cells: Cells) -> None:
        west, north, epsg = CORNERS[CELL]
        core.rows["Core-S2L2A"][0]["B11"] = tif(noise(1, PIXELS), west, north, epsg, resolution=20.0)
        core.write()
        with pytest.raises(
            DataError, match=r"row group 0, B11 covers \(48, 48\) pixels of 20 m .*\(48, 48\) pixels of 10 m"
        ):
            cells(ledger=Ledger(strict=True))

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            (b"II*\x00 no more", "B03 is corrupt or no raster"),
            (b"", "B03 is empty"),
            (None, "B03 holds NoneType"),
            (tif(noise(1, PIXELS, "float32"), *CORNERS[CELL]), "B03 holds float32; whole numbers"),
            (tif(np.ones((2, PIXELS, PIXELS), np.uint16), *CORNERS[CELL]), "B03 has 2 bands"),
        ],
    )
    def test_what_is_no_band(self, core: Core, cells: Cells, content: bytes | None, said: str) -> None:
        core.rows["Core-S2L2A"][0]["B03"] = content
        core.write()
        with pytest.raises(DataError, match=rf"Core-S2L2A/images/part_00001\.parquet, row group 0, {said}"):
            cells(ledger=Ledger(strict=True))

    def test_a_row_of_another_cell(self, core: Core, cells: Cells) -> None:
        core.write()
        path = core.root / "Core-DEM/metadata.parquet"
        table = pq.read_table(path)
        pq.write_table(table.set_column(table.column_names.index("parquet_row"), "parquet_row", [[1, 0]]), path)
        with pytest.raises(DataError, match=f"row group [01] is of cell {CELL}|row group [01] is of cell {OTHER}"):
            cells(ledger=Ledger(strict=True))

    def test_a_row_group_that_is_not_there(self, core: Core) -> None:
        core.write()
        href = str(core.root / "Core-DEM/images/part_00001.parquet")
        with pytest.raises(DataError, match="has no row group 7: it has 2"):
            read_row(Entry(CELL, href, 7), Sensor.DEM, ParquetFiles())

    def test_several_rows_in_a_group(self, core: Core, cells: Cells) -> None:
        core.write(rows=2)
        with pytest.raises(DataError, match="row group 0 has 2 rows; one is needed"):
            cells(ledger=Ledger(strict=True))


class TestBadFiles:
    def test_metadata_that_are_not_there(self, core: Core, cells: Cells) -> None:
        core.write()
        (core.root / "Core-S1RTC/metadata.parquet").unlink()
        with pytest.raises(DataError, match=r"Core-S1RTC/metadata\.parquet is not there"):
            cells()

    def test_metadata_that_lack_a_column(self, core: Core, cells: Cells) -> None:
        core.write()
        path = core.root / "Core-S2L2A/metadata.parquet"
        pq.write_table(pq.read_table(path).drop_columns(["parquet_row"]), path)
        with pytest.raises(
            DataError, match=r"Core-S2L2A/metadata\.parquet has no column parquet_row; it has grid_cell"
        ):
            cells()

    def test_no_parquet(self, core: Core, cells: Cells, file_server: FileServer) -> None:
        core.write()
        (core.root / "Core-DEM/metadata.parquet").write_bytes(b"<html>" * 100)
        for root in (core.root, file_server.url):
            with pytest.raises(DataError, match=r"Core-DEM/metadata\.parquet is corrupt or no parquet"):
                cells(root=root)

    def test_a_server_that_fails_is_no_corrupt_file(self, core: Core, cells: Cells, file_server: FileServer) -> None:
        core.write()
        file_server.faults["Core-DEM/images/part_00001.parquet"] = Fault("status", times=20)
        with pytest.raises(TransientError, match=r"Core-DEM/images/part_00001\.parquet"):
            cells(root=file_server.url)

    @pytest.mark.parametrize(
        ("column", "value", "said"),
        [
            ("parquet_url", "file:///etc/passwd", "names 'file:///etc/passwd', which does not lie in the dataset"),
            ("parquet_url", "../../other.parquet", "names '../../other.parquet', which does not lie"),
            ("parquet_row", "first", "parquet_row is 'first'; a number is needed"),
            ("parquet_row", "0.5", "parquet_row is '0.5'; a whole number is needed"),
            ("cloud_cover", "much", "cloud_cover is 'much'; a number is needed"),
        ],
    )
    def test_metadata_of_strangers(self, core: Core, cells: Cells, column: str, value: str, said: str) -> None:
        core.write()
        path = core.root / "Core-S2L2A/metadata.parquet"
        rows = [{**row, column: value} for row in pq.read_table(path).to_pylist()]
        pq.write_table(pa.Table.from_pylist(rows), path)
        with pytest.raises(DataError, match=f"metadata.parquet, row group 0.* {re.escape(said)}"):
            cells()

    def test_rows_counted_in_floats_are_rows(self, core: Core, cells: Cells) -> None:
        core.write()
        path = core.root / "Core-S2L2A/metadata.parquet"
        rows = [{**row, "parquet_row": float(row["parquet_row"])} for row in pq.read_table(path).to_pylist()]
        pq.write_table(pa.Table.from_pylist(rows), path)
        assert len(cells()) == 2

    def test_targets_outside_of_the_dataset(self, core: Core, cells: Cells) -> None:
        core.rows["Core-AlphaEarth-Embeddings"][0]["subdir"] = "../2021"
        core.write()
        with pytest.raises(DataError, match=r"names '../2021/\w+\.tif', which does not lie in the dataset"):
            cells()

    def test_troubles_of_the_machine_are_no_corrupt_file(
        self, core: Core, cells: Cells, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        core.write()

        def exhausted(path: str) -> None:
            raise OSError(errno.EMFILE, "Too many open files", path)

        monkeypatch.setattr(pa, "OSFile", exhausted)
        with pytest.raises(OSError, match="Too many open files"):
            cells()

    def test_columns_that_fill_the_memory(self, core: Core, cells: Cells, monkeypatch: pytest.MonkeyPatch) -> None:
        core.write()
        monkeypatch.setattr(parquet_files, "LARGEST", 5000)
        with pytest.raises(DataError, match=r"row group 0, .* has 0 MiB; at most 0 MiB are read at once"):
            cells(ledger=Ledger(strict=True))

    def test_a_small_file_that_unpacks_to_a_large_one(self) -> None:
        with MemoryFile() as memory:
            shape = {"count": 1, "height": 60_000, "width": 60_000, "dtype": "uint16", "SPARSE_OK": True}
            place = {"crs": "EPSG:32631", "transform": Affine(10, 0, 500_000, 0, -10, 5_600_000)}
            memory.open(driver="GTiff", tiled=True, **shape, **place).close()
            content = bytes(memory.read())
        assert len(content) < 2_000_000
        with pytest.raises(DataError, match="here has 60000 x 60000 pixels; at most 8192 x 8192 are read"):
            read_held(content, "here")

    def test_a_signature_stays_unsaid(self, core: Core, file_server: FileServer) -> None:
        core.write()
        href = f"{file_server.url}/Core-DEM/images/part_00001.parquet?sig=hush"
        with pytest.raises(DataError) as error:
            read_row(Entry(CELL, href, 5), Sensor.DEM, ParquetFiles())
        assert "hush" not in str(error.value)


def entry(cell: str = CELL, sensed: str = SENSED, **fields: Any) -> Entry:
    return Entry(cell, "part.parquet", 0, sensed=sensed_of(sensed, "here"), **fields)


class TestMatching:
    def test_level_1c_is_of_the_same_sensing_and_tile(self) -> None:
        scene = entry(product="S2B_MSIL2A_X_T24LTQ_Y")
        right, tile, late = (
            entry(product="S2B_MSIL1C_X_T24LTQ_Z"),
            entry(product="S2B_MSIL1C_X_T24LTP_Z"),
            entry(sensed="20210825T131249", product="S2B_MSIL1C_X_T24LTQ_Z"),
        )
        assert self.match([scene], level_1c=[late, tile, right]).dates == (Date(scene, right),)
        assert self.match([scene], level_1c=[late, tile]).dates == (Date(scene),)

    def test_radar_is_the_nearest_in_time(self) -> None:
        scene = entry()
        before, after = entry(sensed="20210820T000000"), entry(sensed="20210826T000000")
        assert self.match([scene], radar=[before, after]).dates == (Date(scene, None, after),)
        assert self.match([scene], radar=[before, after], s1_within_days=1).dates == (Date(scene),)

    def test_the_clearest_dates_are_taken_in_order(self) -> None:
        scenes = [
            replace(entry(sensed=f"2021{month:02d}01T100000"), cloud_cover=cloud)
            for month, cloud in ((2, 50.0), (4, 5.0), (6, 90.0), (8, 10.0))
        ]
        found = self.match(scenes, max_dates=2, max_cloud=60.0)
        assert [date.s2_l2a.sensed.month for date in found.dates if date.s2_l2a.sensed] == [4, 8]

    def test_a_day_comes_once_with_its_clearest_product(self) -> None:
        cloudy = replace(entry(sensed="20210801T100000"), cloud_cover=40.0)
        clear = replace(entry(sensed="20210801T114000"), cloud_cover=3.0)
        later = replace(entry(sensed="20210803T100000"), cloud_cover=50.0)
        assert self.match([cloudy, clear, later]).dates == (Date(clear), Date(later))
        assert self.match([cloudy, clear, later], max_dates=2).dates == (Date(clear), Date(later))

    def match(self, optical: list[Entry], **given: Any) -> Match:
        indices = {
            Sensor.S2_L2A: {CELL: tuple(optical)},
            Sensor.S2_L1C: {CELL: tuple(given.pop("level_1c", ()))},
            Sensor.S1: {CELL: tuple(given.pop("radar", ()))},
        }
        options = MajorTomOptions(needed=frozenset({Sensor.S2_L2A}), **given)
        found = match_cell(CELL, 2021, None, indices, options)
        assert isinstance(found, Match)
        return found


@pytest.mark.parametrize(
    "said",
    ["20230506T065621", "2023-05-06 06:56:21", "2023-05-06T06:56:21Z", datetime(2023, 5, 6, 6, 56, 21)],
)
def test_timestamps(said: object) -> None:
    assert sensed_of(said, "here") == datetime(2023, 5, 6, 6, 56, 21, tzinfo=UTC)
    with pytest.raises(DataError, match="here: timestamp 'soon' is no time"):
        sensed_of("soon", "here")


def test_where_the_datasets_are() -> None:
    hub, mirror = Roots.below(), Roots.below("s3://mirror/major-tom/")
    assert hub.inputs[Sensor.S1] == "https://huggingface.co/datasets/Major-TOM/Core-S1RTC/resolve/main"
    assert mirror.inputs[Sensor.DEM] == "s3://mirror/major-tom/Core-DEM"
    assert mirror.targets == "s3://mirror/major-tom/Core-AlphaEarth-Embeddings"
