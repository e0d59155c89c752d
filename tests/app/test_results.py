"""What is shown of a finished year agrees with its files."""

from __future__ import annotations

import io
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from PIL import Image

from betaearth.app.pictures import drawn, observations_picture
from betaearth.app.results import MadeYear, made_year, made_years, provenance
from betaearth.errors import DataError
from betaearth.products.sheet import NOTHING, ramp_colours
from tests.app.conftest import SMALL


@pytest.fixture
def year(made: Path) -> MadeYear:
    [found] = made_years(made)
    return found


def test_a_finished_year_is_found_with_its_files(year: MadeYear) -> None:
    assert (year.folder.name, year.year) == (SMALL.name, 2021)
    names = [download.path.name for download in year.downloads]
    assert names[:3] == ["2021.tif", "2021_quality.tif", "2021_preview_pca.png"]
    assert "2021_manifest.json" in names
    assert all(download.size == download.path.stat().st_size for download in year.downloads)
    assert year.downloads[0].label.startswith("2021.tif (0.")


def test_a_torn_manifest_is_no_year(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made, tmp_path / "copy")
    manifest = tmp_path / "copy" / SMALL.name / "2021_manifest.json"
    manifest.write_bytes(manifest.read_bytes()[:100])
    assert made_years(tmp_path / "copy") == []
    assert made_years(tmp_path / "nowhere") == []


def test_provenance_in_words(year: MadeYear) -> None:
    said = " ".join(provenance(year.manifest))
    optical = sum(scene.sensor == "s2_l2a" for scene in year.manifest.scenes)
    assert f"{len(year.manifest.scenes)} scenes, {optical} of Sentinel-2 and" in said
    assert f"{len(year.manifest.granules)} granules" in said
    assert year.manifest.request.variant.weights_sha256[:12] in said
    assert year.manifest.fingerprint in said
    assert "36 x 36 px" in said


def test_the_synthetic_is_told_of(year: MadeYear) -> None:
    assert len(year.caveats) == 2
    request = year.manifest.request
    variant = request.variant.model_copy(update={"trained_on_synthetic": False, "trained": False})
    request = request.model_copy(update={"source": "synthetic-looking", "variant": variant})
    real = replace(year, manifest=year.manifest.model_copy(update={"request": request}))
    assert real.caveats == ["The network is untrained: its numbers carry no learned meaning."]


def test_a_file_leads_to_its_year(made: Path, year: MadeYear) -> None:
    assert made_year(made, f"{SMALL.name}/2021.tif") == year
    assert made_year(made, f"{SMALL.name}/2021_files/x/y.tif") == year
    for name in (f"{SMALL.name}/2020.tif", f"../{made.name}/{SMALL.name}/2021.tif", "2021.tif", "./2021.tif", ""):
        assert made_year(made, name) is None, name


def test_files_of_single_scenes_can_be_told_apart(made: Path, year: MadeYear, tmp_path: Path) -> None:
    folder = tmp_path / SMALL.name
    shutil.copytree(made / SMALL.name, folder)
    names = ["2021-06-01_s2/A/embedding.tif", "2021-07-01_s2/B/embedding.tif"]
    for name in names:
        (folder / "2021_files" / name).parent.mkdir(parents=True)
        (folder / "2021_files" / name).write_bytes(b"123")
    record = next(iter(year.manifest.files.values()))
    kept = year.manifest.model_copy(update={"scene_files": dict.fromkeys([*names, "gone/embedding.tif"], record)})
    with_files = MadeYear(folder, kept)
    assert [download.name for download in with_files.scene_downloads] == names
    assert len({download.label for download in with_files.scene_downloads}) == 2
    assert not set(with_files.scene_downloads) & set(with_files.downloads)


def test_observations_are_those_of_the_file(year: MadeYear) -> None:
    path = year.file("quality.tif")
    assert path is not None
    with rasterio.open(path) as file:
        counts = file.read(1, masked=True)
    picture = observations_picture(path)
    assert (picture.least, picture.most) == (counts.min(), counts.max())
    image = np.asarray(Image.open(io.BytesIO(picture.png)))
    assert image.shape == (*counts.shape, 3)


def test_colours_are_those_of_the_overview() -> None:
    image = np.asarray(Image.open(io.BytesIO(drawn(np.array([[2.0, 4.0, np.nan]], np.float32)).png)))
    few, many = ramp_colours(np.array([0.0, 1.0]))
    assert image[0].tolist() == [few.tolist(), many.tolist(), list(NOTHING)]
    alike = np.asarray(Image.open(io.BytesIO(drawn(np.array([[3.0]], np.float32)).png)))
    assert alike[0, 0].tolist() == many.tolist(), "the overview paints one count light, too"


def test_nothing_observed_is_drawn_too() -> None:
    picture = drawn(np.full((2, 2), np.nan, np.float32))
    assert (picture.least, picture.most) == (0, 0)


def test_what_is_no_quality_is_refused(year: MadeYear) -> None:
    with pytest.raises(DataError, match="quality is"):
        observations_picture(year.folder / "2021.tif")
