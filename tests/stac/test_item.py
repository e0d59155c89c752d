from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyproj
import pytest
import shapely.geometry

from betaearth.errors import DataError
from betaearth.products.manifest import Manifest, ObservationRecord
from betaearth.stac.document import to_bytes
from betaearth.stac.item import Succession, item_document, item_from_manifest

Make = Callable[..., Manifest]
KeyOf = Callable[[Manifest], str]

FIJI = "188D_1917R"
"""A cell whose patch crosses 180 degrees."""


@pytest.fixture
def document(make_manifest: Make, manifest_key_of: KeyOf) -> Callable[..., dict[str, Any]]:
    def make(*args: Any, **details: Any) -> dict[str, Any]:
        manifest = make_manifest(*args, **details)
        data = manifest.to_bytes()
        item = item_from_manifest(manifest, manifest_key=manifest_key_of(manifest), manifest_bytes=data)
        parsed: dict[str, Any] = json.loads(to_bytes(item_document(item)))
        return parsed

    return make


Document = Callable[..., dict[str, Any]]


def test_place_is_the_grid(document: Document) -> None:
    item = document("433U_1046R")
    properties = item["properties"]
    assert properties["grid:code"] == "MAJORTOM-10-433U_1046R"
    assert properties["proj:code"] == "EPSG:32651"
    rows, columns = properties["proj:shape"]
    size, _, west, _, minus_size, north = properties["proj:transform"]
    assert (rows, columns, size, minus_size) == (1068, 1068, 10, -10)
    xs = west + size * np.array([0, columns, columns, 0])
    ys = north + minus_size * np.array([0, 0, rows, rows])
    lons, lats = pyproj.Transformer.from_crs(32651, 4326, always_xy=True).transform(xs, ys)
    corners = shapely.geometry.Polygon(zip(lons, lats, strict=True))
    geometry = shapely.geometry.shape(item["geometry"])
    assert geometry.is_valid
    assert geometry.symmetric_difference(corners).area < 1e-3 * corners.area
    assert item["bbox"] == pytest.approx([lons.min(), lats.min(), lons.max(), lats.max()], abs=1e-3)
    assert shapely.geometry.box(*item["bbox"]).buffer(1e-6).contains(geometry)


def test_a_patch_across_180_degrees_is_split(document: Document) -> None:
    item = document(FIJI)
    west, south, east, north = item["bbox"]
    assert west > 179
    assert east < -179
    assert item["geometry"]["type"] == "MultiPolygon"
    geometry = shapely.geometry.shape(item["geometry"])
    assert geometry.is_valid
    assert len(geometry.geoms) == 2
    for part in geometry.geoms:
        left, bottom, right, top = part.bounds
        assert right - left < 1
        assert left in (pytest.approx(west, abs=1e-6), -180)
        assert right in (pytest.approx(east, abs=1e-6), 180)
        assert south - 1e-6 <= bottom < top <= north + 1e-6


def test_time_is_the_calendar_year_and_updated_is_created(document: Document) -> None:
    properties = document(year=2023)["properties"]
    assert properties["datetime"] == properties["start_datetime"] == "2023-01-01T00:00:00Z"
    assert properties["end_datetime"] == "2023-12-31T23:59:59Z"
    assert properties["created"] == properties["updated"] == "2026-01-02T03:04:05Z"


def test_files_are_told_by_size_and_multihash(make_manifest: Make, document: Document) -> None:
    manifest = make_manifest()
    assets = document()["assets"]
    names = {"embeddings": "embeddings.tif", "quality": "quality.tif", "thumbnail": "preview.png"}
    for asset, name in names.items():
        record = manifest.files[name]
        assert assets[asset]["href"] == f"./{manifest.product_digest[:12] if manifest.product_digest else ''}/{name}"
        assert assets[asset]["file:size"] == record.size
        assert assets[asset]["file:checksum"] == "1220" + record.sha256
    data = manifest.to_bytes()
    assert assets["provenance"]["file:size"] == len(data)
    assert assets["provenance"]["file:checksum"] == "1220" + hashlib.sha256(data).hexdigest()
    assert set(assets) == {*names, "provenance"}


def test_pixels_of_int8(document: Document) -> None:
    item = document(dtype="int8")
    embeddings = item["assets"]["embeddings"]
    assert (embeddings["data_type"], embeddings["nodata"]) == ("int8", -128)
    assert [band["name"] for band in embeddings["bands"]] == [f"A{i:02d}" for i in range(64)]
    assert embeddings["eo:bands"] == embeddings["bands"]
    assert embeddings["raster:sampling"] == "area"
    assert embeddings["raster:spatial_resolution"] == embeddings["gsd"] == 10
    assert item["properties"]["emb:quantization"]["method"] == "aef-signed-square"
    assert "raster:scale" not in embeddings


def test_the_expression_that_reads_int8_is_the_documented_formula(document: Document) -> None:
    expression = document(dtype="int8")["assets"]["embeddings"]["processing:expression"]["expression"]
    codes = np.arange(-127, 128, dtype=np.int8)
    values = eval(expression, {"A": codes, "sign": np.sign})
    np.testing.assert_allclose(values, [np.sign(q) * (int(q) / 127.5) ** 2 for q in codes], rtol=1e-12)


def test_pixels_of_float32(document: Document) -> None:
    item = document(dtype="float32")
    embeddings = item["assets"]["embeddings"]
    assert (embeddings["data_type"], embeddings["nodata"]) == ("float32", -9999.0)
    assert "processing:expression" not in embeddings
    assert "emb:quantization" not in item["properties"]


def test_pixels_of_quality(document: Document) -> None:
    quality = document()["assets"]["quality"]
    assert (quality["data_type"], quality["nodata"]) == ("uint16", 65535)
    assert [band["name"] for band in quality["bands"]] == ["obs_count", "dispersion"]
    assert quality["bands"][1]["raster:scale"] == 0.0001


def test_a_preview_is_no_raster(document: Document) -> None:
    thumbnail = document()["assets"]["thumbnail"]
    assert thumbnail["roles"] == ["thumbnail"]
    assert thumbnail["type"] == "image/png"


def test_links_are_relative_titled_and_lead_to_the_tree(make_manifest: Make, document: Document) -> None:
    links = document()["links"]
    assert all(link["title"] for link in links)
    by_rel = {link["rel"]: link["href"] for link in links}
    assert "self" not in by_rel
    assert by_rel["root"] == "../../../../../catalog.json"
    assert by_rel["collection"] == "../../../../collection.json"
    assert by_rel["parent"] == "../catalog.json"
    manifest = make_manifest()
    assert by_rel["via"] == f"./{manifest.request_digest[:12]}-{manifest.sources_digest[:8]}.manifest.json"
    assert by_rel["derived_from"].endswith("/api/stac/v1/collections/sentinel-2-l2a")
    assert by_rel["license"].startswith("https://creativecommons.org/licenses/by/4.0")


@pytest.mark.parametrize("source", ["synthetic:v1:seed=0", "items:sha256:" + "0" * 64])
def test_a_source_without_an_address_is_not_linked(document: Document, source: str) -> None:
    assert "derived_from" not in {link["rel"] for link in document(source=source)["links"]}


def test_an_api_is_linked_by_its_address_alone(document: Document) -> None:
    links = document(source="stac-api:https://example.org/stac/")["links"]
    hrefs = [link["href"] for link in links if link["rel"] == "derived_from"]
    assert hrefs == ["https://example.org/stac/collections/sentinel-2-l2a"]


def test_what_is_not_what_it_seems_says_so(document: Document) -> None:
    plain = document()
    assert plain["properties"]["title"] == "BetaEarth robust embedding 433U_1046R 2024"
    demo = document(variant="demo", trained=False, source="synthetic:v1:seed=0", source_title="Synthetic Earth")
    assert demo["properties"]["title"].endswith("(untrained network, synthetic source)")
    assert "without training" in demo["properties"]["processing:lineage"]
    assert "Synthetic Earth" in demo["properties"]["processing:lineage"]
    assert demo["properties"]["betaearth:model"]["trained"] is False
    assert demo["properties"]["betaearth:provenance"]["synthetic"] is True
    collection = next(link for link in demo["links"] if link["rel"] == "collection")
    assert "untrained" in collection["title"]


def test_a_network_of_the_synthetic_earth_says_so(document: Document) -> None:
    assert "trained_on_synthetic" not in document()["properties"]["betaearth:model"]
    demo = document(variant="demo", trained_on_synthetic=True, source="synthetic:v1:seed=0", source_title="Made up")
    assert demo["properties"]["title"].endswith("(network trained on synthetic data, synthetic source)")
    assert "network: demo, trained on synthetic data." in demo["properties"]["processing:lineage"]
    model = demo["properties"]["betaearth:model"]
    assert (model["trained"], model["trained_on_synthetic"]) == (True, True)
    collection = next(link for link in demo["links"] if link["rel"] == "collection")
    assert "trained on synthetic data" in collection["title"]


def test_lineage_counts_what_entered_the_mean(make_manifest: Make, manifest_key_of: KeyOf) -> None:
    manifest = make_manifest()
    names = [scene.id for scene in manifest.scenes]
    singly = [ObservationRecord(scenes=[name], doy=9) for name in names]
    pairs = [ObservationRecord(scenes=names[:2], doy=9), ObservationRecord(scenes=names[1:3], doy=99)]
    said = []
    for observations in ([], singly, pairs):
        given = manifest.model_copy(update={"observations": observations})
        item = item_from_manifest(given, manifest_key=manifest_key_of(manifest), manifest_bytes=b"")
        said.append(item.properties["processing:lineage"])
    assert said[0] == said[1]
    assert "embeddings of 4 scenes of 2024 (4 of s2_l2a)" in said[0]
    assert "embeddings of 2 observations, together of 4 scenes, of 2024 (4 of s2_l2a)" in said[2]


def test_granules_are_counted_by_fate_and_reason(document: Document) -> None:
    observations = document()["properties"]["betaearth:observations"]
    assert observations["granules"] == {
        "found": 7,
        "used": 4,
        "rejected": [{"reason": "cloudier", "granules": 2}, {"reason": "unreadable", "granules": 1}],
    }
    assert observations["scenes"] == 4
    assert (observations["min"], observations["mean"], observations["max"]) == (1, 3.25, 4)


def test_provenance_is_the_manifests(make_manifest: Make, document: Document) -> None:
    manifest = make_manifest()
    provenance = document()["properties"]["betaearth:provenance"]
    for name in ("request_digest", "sources_digest", "fingerprint", "product_digest"):
        assert provenance[name] == getattr(manifest, name)
    assert provenance["selection"] == manifest.request.options["selection"]
    assert provenance["radiometry"] == ["native"]


@pytest.mark.parametrize(
    ("identity", "word"),
    [
        ("synthetic:v1:seed=7", "synthetic:7"),
        ("stac:https://example.org/stac", "https://example.org/stac"),
        ("items:sha256:" + "0" * 64, "ITEMS.json"),
    ],
)
def test_the_recipe_is_the_command_with_every_option(
    identity: str, word: str, make_manifest: Make, document: Document
) -> None:
    request = make_manifest(source=identity).request
    recipe = document(source=identity)["properties"]["betaearth:provenance"]["reproduce"]
    assert f"betaearth tile {request.cell} {request.year} --spacing-km 10 --model {request.variant.name}" in recipe
    assert recipe.endswith(f" --source {word} --store FOLDER")
    for group, options in request.options.items():
        assert isinstance(options, dict)
        for name, value in options.items():
            assert f"BETAEARTH_{group.upper()}__{name.upper()}={value} " in recipe


def test_linters_find_neither_links_nor_properties_too_many(document: Document) -> None:
    item = document()
    assert len(item["properties"]) <= 20
    assert len(item["links"]) <= 20


def test_without_attribution_its_extension_is_not_declared(document: Document) -> None:
    item = document(attribution=())
    assert "attribution" not in item["properties"]
    assert not [uri for uri in item["stac_extensions"] if "attribution" in uri]


def test_the_same_manifest_gives_the_same_bytes(make_manifest: Make, manifest_key_of: KeyOf) -> None:
    manifest = make_manifest()
    data = manifest.to_bytes()
    again = Manifest.from_bytes(data, where="here")
    key = manifest_key_of(manifest)
    first, second = (
        to_bytes(item_document(item_from_manifest(each, manifest_key=key, manifest_bytes=data)))
        for each in (manifest, again)
    )
    assert first == second


def test_only_a_product_has_an_item(document: Document) -> None:
    with pytest.raises(DataError, match=r"empty tile-year \(no scene\)"):
        document(outcome="empty")


def test_only_a_cell_has_an_item(make_manifest: Make, manifest_key_of: KeyOf) -> None:
    manifest = make_manifest()
    grid = manifest.request.grid.model_copy(update={"spacing_m": None})
    area = manifest.model_copy(update={"request": manifest.request.model_copy(update={"grid": grid})})
    with pytest.raises(DataError, match="area of interest"):
        item_from_manifest(area, manifest_key=manifest_key_of(manifest), manifest_bytes=b"")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"files": {}}, "a product has embeddings.tif too"),
        ({"nodata": None}, "states no dtype or no nodata"),
        ({"collection": "mine"}, "'mine' names no product version"),
    ],
)
def test_a_product_without_its_parts_is_refused(
    make_manifest: Make, manifest_key_of: KeyOf, change: dict[str, Any], message: str
) -> None:
    manifest = make_manifest()
    with pytest.raises(DataError, match=message):
        item_from_manifest(
            manifest.model_copy(update=change), manifest_key=manifest_key_of(manifest), manifest_bytes=b""
        )


@pytest.mark.parametrize("spacing_km", [0.5, 2.0, 10.0, 3.3333333333333335, 1.2345678])
def test_the_recipe_has_the_very_spacing(document: Document, spacing_km: float) -> None:
    recipe = document("40U_50R", spacing_m=spacing_km * 1000.0)["properties"]["betaearth:provenance"]["reproduce"]
    words = shlex.split(recipe)
    assert float(words[words.index("--spacing-km") + 1]) * 1000.0 == spacing_km * 1000.0


def test_a_finer_grid_has_its_own_code(document: Document) -> None:
    item = document("2166U_5231R", spacing_m=2000.0)
    assert item["properties"]["grid:code"] == "MAJORTOM-2-2166U_5231R"
    assert item["properties"]["proj:shape"] == [270, 270]


def test_versions_lead_to_each_other(make_manifest: Make, manifest_key_of: KeyOf) -> None:
    manifest = make_manifest()
    superseded = datetime(2027, 1, 1, tzinfo=UTC)
    between = Succession(id="b", predecessor="a", successor="c", latest="d", superseded=superseded)
    item = item_from_manifest(
        manifest, manifest_key=manifest_key_of(manifest), manifest_bytes=b"{}", succession=between
    )
    links = {link.rel: link.target for link in item.links if "version" in link.rel}
    assert links == {
        "predecessor-version": "./a.json",
        "successor-version": "./c.json",
        "latest-version": "./d.json",
    }
    assert item.id == "b"
    assert item.properties["deprecated"] is True
    assert (item.properties["created"], item.properties["updated"]) == ("2026-01-02T03:04:05Z", "2027-01-01T00:00:00Z")


def test_an_only_version_is_not_deprecated_and_links_none(document: Document) -> None:
    item = document()
    assert "deprecated" not in item["properties"]
    assert not [link for link in item["links"] if "version" in link["rel"]]
