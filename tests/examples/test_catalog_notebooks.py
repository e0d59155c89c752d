"""The notebooks that read a catalog: of the synthetic Earth, and of what takes itself for a real one."""

from __future__ import annotations

import sysconfig
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import rasterio
import xarray
from numpy.typing import NDArray
from rasterio.warp import transform_bounds
from sklearn.metrics import roc_auc_score

from betaearth.grid.utm import lonlat_points
from betaearth.synthetic.landscape import land_cover
from tests.examples.conftest import CELLS
from tests.examples.notebooks import check_quiet, code_with, execute, run_here

CORINE = {1: 512, 2: 311, 3: 411, 4: 211, 5: 112, 6: 332, 7: 335, 8: 321}
"""Land cover as a raster of somebody's own might number it."""


def vectors_of(path: Path) -> NDArray[np.float64]:
    """Read unit vectors (64, y, x) of int8 codes by rasterio and the formula alone."""
    with rasterio.open(path) as file:
        codes: NDArray[np.float64] = file.read().astype(np.float64)
    vectors: NDArray[np.float64] = np.sign(codes) * (codes / 127.5) ** 2
    vectors /= np.linalg.norm(vectors, axis=0)
    vectors[:, (codes == -128).any(axis=0)] = np.nan
    return vectors


def embeddings_in(catalog: Path, cell: str, year: int) -> Path:
    (found,) = catalog.glob(f"*/{year}/*/*/{cell.lower()}/*/embeddings.tif")
    return found


@pytest.mark.parametrize("name", ["03_classify_with_xarray", "04_similarity_and_change"])
def test_a_catalog_on_the_web_makes_no_demo(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    opened: list[str] = []

    def open_catalog(address: str) -> None:
        opened.append(address)
        raise LookupError

    def demo(*_: object, **__: object) -> None:
        pytest.fail("a demo was made")

    scope = {
        "Path": Path,
        "STORE": "https://stac.example.org/c",
        "sysconfig": sysconfig,
        "subprocess": SimpleNamespace(run=demo),
        "pystac": SimpleNamespace(Catalog=SimpleNamespace(from_file=open_catalog)),
    }
    with pytest.raises(LookupError):
        exec(code_with(name, "pystac.Catalog.from_file"), scope)
    assert opened == ["https://stac.example.org/c/catalog.json"]
    assert list(tmp_path.iterdir()) == []


def test_classify_with_xarray(tmp_path: Path, catalog: Path) -> None:
    executed = execute(
        "03_classify_with_xarray",
        tmp_path,
        {"STORE": str(catalog), "LABELLED": 800, "BLOCK_M": 300},
        {
            "score": "score",
            "majority": "majority",
            "apart": "all(len(set(blocks[test]) & set(blocks[train])) == 0"
            " for train, test in GroupKFold(FOLDS).split(x, y, blocks))",
            "confused": "[int(value) for value in np.unique(said)]",
            "agreement": "float(agreement.median())",
            "mapped": "float((mapped[known.values] == truth.values[known.values]).mean())",
            "most": "float(max(np.bincount(truth.values[known.values])) / known.values.sum())",
            "place": "[float(vectors.x[60]), float(vectors.y[100])]",
            "pixel": "vectors.values[:, 100, 60].tolist()",
        },
    )
    check_quiet(executed)
    assert executed.pictures == 2
    values = executed.values
    assert values["apart"]
    assert values["score"] > values["majority"] + 0.2
    assert values["mapped"] > values["most"]
    assert len(values["confused"]) > 2
    assert values["agreement"] > 0.999
    path = embeddings_in(catalog, CELLS[0], 2021)
    with rasterio.open(path) as file:
        row, column = file.index(*values["place"])
    np.testing.assert_allclose(values["pixel"], vectors_of(path)[:, row, column], atol=1e-6)


def labels_of(catalog: Path, path: Path, missing: int | None) -> Path:
    """Write the land cover around a cell as a raster of degrees with numbers of its own; a strip has no label."""
    with rasterio.open(embeddings_in(catalog, CELLS[0], 2021)) as file:
        west, south, east, north = transform_bounds(file.crs, "EPSG:4326", *file.bounds)
    step, nothing = 5e-5, 0 if missing is None else missing
    lon, lat = np.meshgrid(np.arange(west, east, step) + step / 2, np.arange(north, south, -step) - step / 2)
    classes = np.vectorize(CORINE.__getitem__)(land_cover(lon.ravel(), lat.ravel())).reshape(lon.shape)
    classes[:, :20] = nothing
    place = rasterio.Affine(step, 0, west, 0, -step, north)
    shape = {"count": 1, "height": lon.shape[0], "width": lon.shape[1], "dtype": "int16", "nodata": missing}
    with rasterio.open(path, "w", driver="GTiff", crs="EPSG:4326", transform=place, **shape) as file:
        file.write(classes.astype(np.int16), 1)
    return path


@pytest.mark.usefixtures("drawn")
@pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning")
@pytest.mark.filterwarnings("ignore:The 'shapely.ops.transform:DeprecationWarning")
def test_labels_of_ones_own_are_learned_by_their_own_numbers(
    tmp_path: Path, real_catalog: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = labels_of(real_catalog, tmp_path / "classes.tif", -1)
    names = {number: (f"class {number}", "#123456") for number in (*CORINE.values(), 999)}
    given = {"STORE": str(real_catalog), "LABELS": str(path), "CLASSES": names, "LABELLED": 500, "BLOCK_M": 300}
    scope = run_here("03_classify_with_xarray", given)
    truth, mapped, known = scope["truth"].values, scope["mapped"], scope["known"].values
    assert set(np.unique(truth)) - {0} <= set(CORINE.values())
    assert 0 < (truth[known] == 0).mean() < 0.7
    easting, northing = np.meshgrid(scope["vectors"].x, scope["vectors"].y)
    epsg = int(scope["code"].removeprefix("EPSG:"))
    lon, lat = (each.reshape(truth.shape) for each in lonlat_points(easting.ravel(), northing.ravel(), epsg))
    labelled = truth > 0
    expected = np.vectorize(CORINE.__getitem__)(land_cover(lon[labelled], lat[labelled]))
    assert (truth[labelled] == expected).mean() > 0.95
    assert (mapped[labelled] == truth[labelled]).mean() > 0.5
    assert scope["bar"].ax.get_yticklabels()[-1].get_text() == "class 999"
    assert "class 211" in capsys.readouterr().out

    scope["CLASSES"] = {111: ("town", "red")}
    with pytest.raises(ValueError, match="of which CLASSES has no name"):
        exec(code_with("03_classify_with_xarray", "def labels_on"), scope)
    with pytest.raises(ValueError, match="labels of your own into LABELS"):
        exec(code_with("03_classify_with_xarray", "pystac.Catalog.from_file"), {**scope, "LABELS": None})


def test_vectors_of_a_catalog_of_float32_are_taken_as_they_are() -> None:
    scope: dict[str, Any] = {
        "np": np,
        "codes": xarray.DataArray(np.full((64, 2, 2), 0.125, np.float32), dims=("band", "y", "x")),
    }
    exec(code_with("03_classify_with_xarray", "def unit_vectors").partition("\n\n\nvectors")[0], scope)
    np.testing.assert_array_equal(scope["unit_vectors"](scope["codes"]), scope["codes"])


@pytest.mark.usefixtures("drawn")
def test_a_real_catalog_is_not_judged_by_the_synthetic_truth(
    real_catalog: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "betaearth.synthetic.landscape.landscape", lambda *_: pytest.fail("the synthetic Earth was asked")
    )
    scope = run_here("04_similarity_and_change", {"STORE": str(real_catalog), "FOUND": 3})
    assert {"there", "rotated", "separation"}.isdisjoint(scope)
    assert set(scope["medians"]) == {"every pixel"}
    assert capsys.readouterr().out.count("This catalog is of real imagery") == 2


def test_similarity_and_change(tmp_path: Path, catalog: Path) -> None:
    executed = execute(
        "04_similarity_and_change",
        tmp_path,
        {"STORE": str(catalog)},
        {
            "difference": "largest_difference",
            "places": "places",
            "there": "[int(value) for value in there]",
            "asked": "int(asked)",
            "cell": "cell",
            "change": "change.values.tolist()",
            "medians": "medians",
            "separation": "float(separation)",
            "rotated": "rotated.tolist()",
        },
    )
    check_quiet(executed)
    assert executed.pictures == 2
    values = executed.values
    assert values["difference"] < 1e-5
    best, _, lon, lat = values["places"][0]
    assert best == pytest.approx(1, abs=1e-5)
    assert (lon, lat) == pytest.approx((-114.066, 48.605), abs=1e-4)
    assert [place[0] for place in values["places"]] == sorted((place[0] for place in values["places"]), reverse=True)
    assert len(values["places"]) == 10
    assert values["there"].count(values["asked"]) >= 6

    cell = values["cell"].rpartition("-")[2]
    new, old = (vectors_of(embeddings_in(catalog, cell, year)) for year in (2022, 2021))
    np.testing.assert_allclose(values["change"], np.maximum(1 - (new * old).sum(axis=0), 0), atol=1e-5)
    assert set(values["medians"]) == {"another crop", "the same crop", "no field"}
    distance, changed = np.array(values["change"]).ravel(), np.array(values["rotated"])
    fine = np.isfinite(distance)
    assert 0 < changed[fine].mean() < 1
    assert values["separation"] == pytest.approx(roc_auc_score(changed[fine], distance[fine]), abs=1e-9)
