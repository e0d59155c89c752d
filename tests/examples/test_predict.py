"""`examples/predict.py`, on the synthetic Earth and on rasters of one's own."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray
from PIL import Image

from betaearth import BetaEarth
from tests.examples.notebooks import EXAMPLES

PLACE = rasterio.Affine(10, 0, 500_000, 0, -10, 5_400_000)
Run = Callable[..., None]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("predict_example", EXAMPLES / "predict.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def run(script: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Run:
    def called(*words: object) -> None:
        monkeypatch.setattr(sys, "argv", ["predict.py", *map(str, words)])
        script.main()

    return called


def write(path: Path, values: NDArray[Any], nodata: float, transform: rasterio.Affine = PLACE) -> Path:
    bands, height, width = values.shape
    shape = {"count": bands, "height": height, "width": width, "dtype": values.dtype, "nodata": nodata}
    with rasterio.open(path, "w", driver="GTiff", crs="EPSG:32611", transform=transform, **shape) as file:
        file.write(values)
    return path


def read(path: Path) -> NDArray[np.float32]:
    with rasterio.open(path) as file:
        vectors: NDArray[np.float32] = file.read()
    return vectors


def test_it_runs_offline_as_it_stands(
    run: Run, tmp_path: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("--out", tmp_path, "--cache", cache)
    assert "s2_l2a, s1, dem, day 221" in capsys.readouterr().out.replace("dem, s1", "s1, dem")
    with rasterio.open(tmp_path / "embedding.tif") as file:
        assert (file.count, file.crs.to_epsg(), file.descriptions[0]) == (64, 32611, "A00")
        vectors = file.read()
    length = np.linalg.norm(vectors, axis=0)
    observed = np.isfinite(length)
    assert observed.mean() > 0.9
    np.testing.assert_allclose(length[observed], 1, atol=1e-5)
    picture = np.asarray(Image.open(tmp_path / "embedding_pca.png"))
    np.testing.assert_array_equal(picture[..., 3] == 255, observed)
    assert len(np.unique(picture[observed], axis=0)) > 100


def test_rasters_of_ones_own_give_what_predict_gives(run: Run, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    s2 = random.integers(200, 4000, (9, 40, 50)).astype(np.uint16)
    dem = random.uniform(300, 900, (1, 40, 50)).astype(np.float32)
    s2[:, :10] = 0
    words = ["--s2-l2a", write(tmp_path / "s2.tif", s2, 0), "--dem", write(tmp_path / "dem.tif", dem, -32767)]
    run(*words, "--doy", 100, "--model", "demo", "--out", tmp_path / "out")
    expected = BetaEarth.from_pretrained("demo", device="cpu").predict(s2_l2a=s2, dem=dem, doy=100)
    vectors = read(tmp_path / "out" / "embedding.tif").transpose(1, 2, 0)
    assert np.isnan(vectors[:10]).all()
    np.testing.assert_allclose(vectors[10:], expected[10:], atol=1e-6)


@pytest.mark.parametrize(("variable", "below"), [("BETAEARTH_CACHE", ""), ("XDG_CACHE_HOME", "betaearth")])
def test_the_cache_is_where_the_settings_have_it(
    variable: str, below: str, script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("BETAEARTH_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "argv", ["predict.py"])
    monkeypatch.setenv(variable, str(tmp_path))
    assert script.arguments().cache == tmp_path / below
    monkeypatch.setattr(sys, "argv", ["predict.py", "--cache", "here"])
    assert script.arguments().cache == Path("here")


def test_the_date_must_be_said_and_may_be_left_out(run: Run, tmp_path: Path) -> None:
    dem = write(tmp_path / "dem.tif", np.linspace(0, 99, 1024, dtype=np.float32).reshape(1, 32, 32), -32767)
    with pytest.raises(SystemExit, match="--doy is missing"):
        run("--dem", dem, "--model", "demo", "--out", tmp_path)
    run("--dem", dem, "--doy", 0, "--model", "demo", "--out", tmp_path)
    expected = BetaEarth.from_pretrained("demo", device="cpu").predict(dem=read(dem), doy=None)
    np.testing.assert_allclose(read(tmp_path / "embedding.tif").transpose(1, 2, 0), expected, atol=1e-6)


def test_rasters_of_two_grids_are_refused(run: Run, tmp_path: Path) -> None:
    values = np.ones((1, 32, 32), np.float32)
    dem = write(tmp_path / "dem.tif", values, -32767)
    s1 = write(
        tmp_path / "s1.tif", np.repeat(values, 2, axis=0), -32768, rasterio.Affine(10, 0, 500_010, 0, -10, 5_400_000)
    )
    with pytest.raises(SystemExit, match=r"dem\.tif does not lie on the grid of .*s1\.tif"):
        run("--s1", s1, "--dem", dem, "--doy", 1, "--model", "demo", "--out", tmp_path)
