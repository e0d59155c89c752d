"""The reader against bytes in memory; what GDAL makes of it is in test_files."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.errors import RasterioIOError

from betaearth.errors import ConfigError, DataError, TransientError
from betaearth.scenes.openers import RangeFile, RangeOpener
from betaearth.scenes.ranges import GAP, HEAD, LONGEST, STEP, RangeReader
from betaearth.storage.objects import ObjectPart

BYTES = np.random.default_rng(0).bytes(1_000_000)


@dataclass
class Store:
    """Answers as a server does, and remembers what it was asked for."""

    data: bytes = BYTES
    version: str | None = '"1"'
    asked: list[tuple[int, int]] = field(default_factory=list)
    trouble: Exception | None = None

    def fetch(self, start: int, stop: int) -> ObjectPart:
        self.asked.append((start, stop))
        if self.trouble is not None:
            raise self.trouble
        return ObjectPart(self.data[start:stop], start, len(self.data), self.version)


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def reader(store: Store) -> RangeReader:
    return RangeReader("a.tif", store.fetch)


def test_the_first_request_tells_the_size_and_holds_the_head(store: Store, reader: RangeReader) -> None:
    assert store.asked == []
    assert reader.size == len(BYTES)
    assert reader.read(0, 100) == BYTES[:100]
    assert reader.read(HEAD - 8, HEAD) == BYTES[HEAD - 8 : HEAD]
    assert store.asked == [(0, HEAD)]


def test_small_reads_make_no_small_requests(store: Store, reader: RangeReader) -> None:
    for start in range(200_000, 230_000, 1000):
        assert reader.read(start, start + 8) == BYTES[start : start + 8]
    assert store.asked == [(0, HEAD), (200_000, 200_000 + STEP)]


def test_reads_at_the_end(store: Store, reader: RangeReader) -> None:
    end = len(BYTES)
    assert reader.read(end - 10, end + 1000) == BYTES[-10:]
    assert reader.read(end, end + 1000) == b""
    assert store.asked == [(0, HEAD), (end - 10, end)]


def test_ranges_that_lie_close_are_one_request(store: Store, reader: RangeReader) -> None:
    ranges = [(300_000, 300_100), (100_000, 150_000), (150_000 + GAP, 260_000), (10, 20)]
    assert reader.read_ranges(ranges) == [BYTES[start:stop] for start, stop in ranges]
    assert store.asked == [(0, HEAD), (100_000, 300_100)]
    store.asked.clear()
    ranges = [(200_000, 200_010), (200_010 + GAP + 1, 300_000), (5, 7)]
    assert reader.read_ranges(ranges) == [BYTES[start:stop] for start, stop in ranges]
    assert store.asked == [(200_000, 200_010), (200_010 + GAP + 1, 300_000)]


def test_no_joined_request_is_endless() -> None:
    store = Store(bytes(3 * LONGEST))
    reader = RangeReader("a.tif", store.fetch)
    ranges = [(start, start + LONGEST // 4) for start in range(0, 3 * LONGEST, LONGEST // 4)]
    assert b"".join(reader.read_ranges(ranges)) == store.data
    assert store.asked[1:] == [(0, LONGEST), (LONGEST, 2 * LONGEST), (2 * LONGEST, 3 * LONGEST)]


@settings(deadline=None, max_examples=60)
@given(
    ranges=st.lists(st.tuples(st.integers(0, 990_000), st.integers(0, 10_000)), max_size=12),
    size=st.sampled_from([0, 1, HEAD - 1, HEAD, HEAD + 1, 1_000_000]),
)
def test_the_same_as_slices(ranges: list[tuple[int, int]], size: int) -> None:
    data = BYTES[:size]
    reader = RangeReader("a.tif", Store(data).fetch)
    wanted = [(start % (size + 1), min(start % (size + 1) + length, size)) for start, length in ranges]
    assert reader.read_ranges(wanted) == [data[start:stop] for start, stop in wanted]
    for start, length in ranges:
        assert reader.read(start, start + length) == data[start : start + length]


def test_a_server_that_sends_everything(store: Store) -> None:
    def fetch(start: int, stop: int) -> ObjectPart:
        return replace(store.fetch(start, stop), data=BYTES, start=0)

    reader = RangeReader("a.tif", fetch)
    assert reader.read_ranges([(5, 10), (500_000, 900_000)]) == [BYTES[5:10], BYTES[500_000:900_000]]
    assert len(store.asked) == 1


def test_a_file_that_ends_too_early(reader: RangeReader) -> None:
    with pytest.raises(DataError, match=r"a\.tif is corrupt: it ends before its pixels do"):
        reader.read_ranges([(10, 20), (999_999, 1_000_001)])


@pytest.mark.parametrize("change", [{"version": '"2"'}, {"data": BYTES + b"more"}, {"version": None}])
def test_a_file_that_becomes_another_one(change: dict[str, object], store: Store, reader: RangeReader) -> None:
    assert reader.read(0, 10) == BYTES[:10]
    for name, value in change.items():
        setattr(store, name, value)
    with pytest.raises(TransientError, match="became another file"):
        reader.read(500_000, 500_010)


def test_a_file_that_goes_away_while_it_is_read(store: Store, reader: RangeReader) -> None:
    """What is gone for good is said when it is opened again; until then it may be being replaced."""
    assert reader.read(0, 10) == BYTES[:10]
    store.trouble = DataError("a.tif is not there (404)")
    with pytest.raises(TransientError, match="was there a moment ago"):
        reader.read(500_000, 500_010)


def test_fewer_bytes_than_asked_for(store: Store) -> None:
    def fetch(start: int, stop: int) -> ObjectPart:
        return store.fetch(start, stop if start == 0 else stop - 1)

    with pytest.raises(TransientError, match="not 500000 to 600000"):
        RangeReader("a.tif", fetch).read_ranges([(500_000, 600_000)])


def opened(store: Store) -> tuple[RangeOpener, RangeFile]:
    opener = RangeOpener("https://host.org/b/my%20a.tif", RangeReader("a.tif", store.fetch))
    return opener, opener.open()


def test_a_file_for_gdal(store: Store) -> None:
    opener, file = opened(store)
    assert opener.name.endswith("/my a.tif")
    assert RangeOpener("https://host.org/a%00b", RangeReader("a.tif", store.fetch)).name.endswith("/a")
    assert opener.known_size() == file.size == len(BYTES)
    assert file.seek(-10, 2) == len(BYTES) - 10
    assert file.read() == BYTES[-10:]
    assert file.seek(5) == file.tell() == 5
    assert file.read(3) == BYTES[5:8]
    assert file.seek(2, 1) == 10
    assert file.get_byte_ranges([0, 70_000], [2, 3]) == [BYTES[:2], BYTES[70_000:70_003]]


def test_no_two_files_are_called_the_same(store: Store) -> None:
    assert opened(store)[0].name != opened(store)[0].name


def test_gdal_finds_a_file_while_it_is_open_and_nothing_beside_it(tmp_path: Path) -> None:
    place = {"crs": "EPSG:32631", "transform": Affine(10, 0, 500_000, 0, -10, 5_600_000)}
    size = {"width": 8, "height": 8, "count": 1, "dtype": "uint8"}
    with rasterio.open(tmp_path / "a.tif", "w", driver="GTiff", **place, **size) as file:
        file.write(np.arange(64, dtype=np.uint8).reshape(1, 8, 8))
    data = (tmp_path / "a.tif").read_bytes()

    def fetch(start: int, stop: int) -> ObjectPart:
        return ObjectPart(data[start:stop], start, len(data), None)

    opener = RangeOpener("https://host.org/a.tif", RangeReader("a.tif", fetch))
    with opener.path() as path:
        with rasterio.open(path) as file:
            assert file.read(1)[7, 7] == 63
        for other in (f"{path}.aux.xml", path.replace("a.tif", "b.tif")):
            with pytest.raises(RasterioIOError, match="vsiriopener"):
                rasterio.open(other)
    with pytest.raises(RasterioIOError, match="vsiriopener"):
        rasterio.open(path)


def test_gdal_learns_of_remote_files_once(store: Store) -> None:
    """Its list of file systems has no lock: what is put in and taken out beside a look at it ends the process."""
    folders = set()

    def enter(_: int) -> None:
        with opened(store)[0].path() as path:
            folders.add(path.split("/betaearth/")[0])

    with ThreadPoolExecutor(16) as threads:
        list(threads.map(enter, range(200)))
    assert len(folders) == 1


@pytest.mark.parametrize("trouble", [ConfigError("no"), TransientError("no"), ZeroDivisionError("no")])
def test_trouble_is_kept_and_ends_the_asking(trouble: Exception, store: Store) -> None:
    opener, file = opened(store)
    assert file.read(4) == BYTES[:4]
    store.trouble = trouble
    assert file.get_byte_ranges([500_000, 700_000], [5, 7]) == [bytes(5), bytes(7)]
    assert file.get_byte_ranges([0], [5]) == [bytes(5)]
    assert file.read(4) == b""
    assert file.seek(0, 2) == 0
    assert len(store.asked) == 2
    with pytest.raises(type(trouble), match="no"), opener.troubles():
        raise OSError("GDAL says so")
    with pytest.raises(type(trouble), match="no"), opener.troubles():
        pass


def test_other_errors_pass(store: Store) -> None:
    opener, _ = opened(store)
    with pytest.raises(KeyError), opener.troubles():
        raise KeyError


def test_trouble_keeps_its_own_cause(store: Store) -> None:
    opener, file = opened(store)
    assert file.read(4) == BYTES[:4]
    store.trouble = DataError("gone")
    assert file.get_byte_ranges([500_000], [5]) == [bytes(5)]
    with pytest.raises(TransientError, match="a moment ago") as caught, opener.troubles():
        raise OSError("GDAL says so")
    assert caught.value.__cause__ is store.trouble
