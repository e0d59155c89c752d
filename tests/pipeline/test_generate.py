"""AOI mode: files beside a manifest are those that it describes, whatever was there before."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import rasterio

from betaearth.errors import ConfigError, DataError, TransientError
from betaearth.generate import Area, check_name, generate, with_plain_vectors
from betaearth.grid.patch import area_pixel_grid
from betaearth.grid.pixels import PixelGrid
from betaearth.pipeline.area_folder import LOCK, WORK, alone_in
from betaearth.pipeline.generate import AreaYear, generate_area
from betaearth.pipeline.options import ProductionOptions
from betaearth.products.manifest import Manifest
from betaearth.products.options import ProductOptions
from betaearth.settings import load_settings
from betaearth.synthetic.source import DEMO_LONLAT, OCEAN_LONLAT
from tests.pipeline.conftest import Workshop

OPTIONS = ProductionOptions(product=ProductOptions(dtype="float32"))


def area(lonlat: tuple[float, float] = DEMO_LONLAT) -> PixelGrid:
    lon, lat = lonlat
    return area_pixel_grid((lon, lat, lon + 0.01, lat + 0.006))


def made(workshop: Workshop, folder: Path, *years: int, options: ProductionOptions = OPTIONS) -> list[AreaYear]:
    return generate_area(
        "area", area(), years, source=workshop.source, model=workshop.model, options=options, folder=folder
    )


def test_files_are_named_by_the_year_and_described(workshop: Workshop, tmp_path: Path) -> None:
    years = made(workshop, tmp_path, 2021, 2022)
    names = {path.name for path in tmp_path.iterdir() if path.name != LOCK}
    assert names == {
        f"{year}{end}"
        for year in (2021, 2022)
        for end in (".tif", "_quality.tif", "_preview_pca.png", "_manifest.json", "_overview.png")
    }
    for year in years:
        for record in year.manifest.files.values():
            data = (tmp_path / record.key).read_bytes()
            assert (len(data), hashlib.sha256(data).hexdigest()) == (record.size, record.sha256)
    with rasterio.open(years[0].embedding_path) as file:
        grid = area()
        assert (file.shape, file.transform[2], file.transform[5]) == (grid.shape, grid.west, grid.north)
        assert file.tags()["BETAEARTH_TRAINED"] == "true"
        assert file.tags()["BETAEARTH_TRAINED_ON_SYNTHETIC"] == "true"
        assert "not imagery" in file.tags()["BETAEARTH_SOURCE"]


def test_the_same_request_is_skipped_and_another_replaces_it(workshop: Workshop, tmp_path: Path) -> None:
    first = made(workshop, tmp_path, 2021)
    assert made(workshop, tmp_path, 2021)[0].skipped
    coded = made(workshop, tmp_path, 2021, options=ProductionOptions())
    assert not coded[0].skipped
    with rasterio.open(tmp_path / "2021.tif") as file:
        assert file.dtypes[0] == "int8"
    assert coded[0].manifest.request_digest != first[0].manifest.request_digest


@pytest.mark.parametrize("harm", ["no manifest", "truncated raster", "foreign manifest", "raster gone"])
def test_what_is_not_whole_is_made_again(harm: str, workshop: Workshop, tmp_path: Path) -> None:
    whole = made(workshop, tmp_path, 2021)[0].manifest.files
    if harm == "no manifest":
        (tmp_path / "2021_manifest.json").unlink()
    elif harm == "truncated raster":
        (tmp_path / "2021.tif").write_bytes((tmp_path / "2021.tif").read_bytes()[:1000])
    elif harm == "foreign manifest":
        (tmp_path / "2021_manifest.json").write_text('{"model": "of another tool"}')
    else:
        (tmp_path / "2021.tif").unlink()
    again = made(workshop, tmp_path, 2021)[0]
    assert not again.skipped
    assert again.manifest.files == whole


def test_an_ocean_area_is_an_outcome(workshop: Workshop, tmp_path: Path) -> None:
    (empty,) = generate_area(
        "sea",
        area(OCEAN_LONLAT),
        [2021],
        source=workshop.source,
        model=workshop.model,
        options=OPTIONS,
        folder=tmp_path,
    )
    assert empty.manifest.outcome == "empty"
    assert empty.embedding_path is None
    assert {path.name for path in tmp_path.iterdir()} == {"2021_manifest.json", LOCK}


def test_the_function_behind_the_command(tmp_path: Path, workshop: Workshop) -> None:
    lon, lat = DEMO_LONLAT
    settings = {"source": "synthetic", "cache": tmp_path / "cache", "model": "demo", "device": "cpu"}
    (year,) = generate(
        bbox=(lon, lat, lon + 0.01, lat + 0.006), years=[2021], output_dir=tmp_path / "out", settings=settings
    )
    folder = tmp_path / "out" / Area(bbox=(lon, lat, lon + 0.01, lat + 0.006)).name
    assert year.embedding_path == folder / "2021.tif"
    assert year.manifest.dtype == "float32"
    assert year.manifest.request.variant.weights_sha256 == workshop.model.weights_sha256


def test_default_names_are_the_published_ones() -> None:
    assert Area(bbox=(13.1, 48.7, 13.8, 49.2)).name == "bbox_13.10_48.70_13.80_49.20"
    assert Area(geojson=Path("dir/bav.geojson")).name == "bav"
    assert Area(geojson="https://host/dir/bav.geojson?sig=a/b").name == "bav"
    assert Area(geojson='{"type": "Polygon"}').name == "area"
    assert Area(osm_relation=1864214).name == "osm_1864214"


@pytest.mark.parametrize("name", ["", "..", "a/b", ".hidden", "a b", "ü"])
def test_a_name_that_is_no_folder_name(name: str) -> None:
    with pytest.raises(DataError, match="name"):
        check_name(name)


def test_an_output_folder_that_is_a_file(workshop: Workshop, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(ConfigError, match="in the way"):
        made(workshop, tmp_path / "out", 2021)


def described(folder: Path) -> bool:
    """Whether a manifest is there; if so, it must be that of the files beside it."""
    path = folder / "2021_manifest.json"
    if not path.exists():
        return False
    for record in Manifest.from_bytes(path.read_bytes(), where=str(path)).files.values():
        assert hashlib.sha256((folder / record.key).read_bytes()).hexdigest() == record.sha256
    return True


@pytest.mark.parametrize("last", range(6))
def test_stopped_between_any_two_moves_a_manifest_is_that_of_its_files(
    last: int, workshop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(workshop, tmp_path, 2021)
    moves = 0
    replace = Path.replace

    def stop(path: Path, target: Path) -> Path:
        nonlocal moves
        if target.parent == tmp_path:
            if moves == last:
                raise KeyboardInterrupt
            moves += 1
        return replace(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", stop)
        if last < 5:
            with pytest.raises(KeyboardInterrupt):
                made(workshop, tmp_path, 2021, options=ProductionOptions())
            assert described(tmp_path) == (last == 4), "the figure comes after the manifest"
            assert not (tmp_path / "2021_overview.png").exists(), "no figure of what was there before"
        else:
            made(workshop, tmp_path, 2021, options=ProductionOptions())
            assert described(tmp_path)
    made(workshop, tmp_path, 2021, options=ProductionOptions())
    assert described(tmp_path)
    assert (tmp_path / "2021_overview.png").exists()
    assert not list(tmp_path.glob(f"{WORK}*"))


def test_one_run_at_a_time(workshop: Workshop, tmp_path: Path) -> None:
    with alone_in(tmp_path), pytest.raises(TransientError, match="another run"):
        made(workshop, tmp_path, 2021)


def test_what_another_request_left_unfinished_is_cleared(workshop: Workshop, tmp_path: Path) -> None:
    left = tmp_path / f"{WORK}2021-0123456789ab"
    left.mkdir()
    (left / "current.npz").write_bytes(b"unfinished")
    other_year = tmp_path / f"{WORK}2020-0123456789ab"
    other_year.mkdir()
    made(workshop, tmp_path, 2021)
    assert not left.exists()
    assert other_year.exists()


def test_a_set_dtype_is_kept_and_float32_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    assert with_plain_vectors(load_settings({})).product.dtype == "float32"
    monkeypatch.setenv("BETAEARTH_PRODUCT__DTYPE", "int8")
    assert with_plain_vectors(load_settings({})).product.dtype == "int8"


def test_another_area_is_not_overwritten(workshop: Workshop, tmp_path: Path) -> None:
    made(workshop, tmp_path, 2021)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    lon, lat = DEMO_LONLAT
    with pytest.raises(DataError, match="another area"):
        generate_area(
            "area",
            area((lon + 0.02, lat)),
            [2021],
            source=workshop.source,
            model=workshop.model,
            options=OPTIONS,
            folder=tmp_path,
        )
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
