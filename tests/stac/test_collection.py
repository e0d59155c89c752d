from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from betaearth.errors import DataError
from betaearth.products.manifest import Manifest
from betaearth.stac.collection import collection_document, collection_from_manifests
from betaearth.stac.document import to_bytes
from betaearth.stac.facts import Facts, facts_of_collection, facts_of_manifest

Make = Callable[..., Manifest]

longitudes = st.floats(-180, 180).map(lambda lon: round(lon, 6))
latitudes = st.floats(-85, 85).map(lambda lat: round(lat, 6))
models = st.builds(
    lambda variant, trained: json.dumps(
        {
            "variant": variant,
            "trained": trained,
            "weights": variant,
            "weights_sha256": "0" * 64,
            "inputs": ["s1"],
        },
        sort_keys=True,
    ),
    st.sampled_from(["robust", "demo"]),
    st.booleans(),
)
facts = st.builds(
    lambda years, lons, lats, **rest: Facts(
        collection="betaearth-robust-v1",
        first_year=min(years),
        last_year=max(years),
        bounds=(min(lons), min(lats), max(lons), max(lats)),
        **rest,
    ),
    st.tuples(st.integers(2015, 2030), st.integers(2015, 2030)),
    st.tuples(longitudes, longitudes),
    st.tuples(latitudes, latitudes),
    models=st.frozensets(models, min_size=1),
    sources=st.frozensets(st.sampled_from(["Planetary Computer", "Synthetic Earth", "mine.json"]), min_size=1),
    synthetic=st.frozensets(st.booleans(), min_size=1),
    dtypes=st.frozensets(st.sampled_from(["int8", "float32"]), min_size=1),
    codes=st.frozensets(st.sampled_from(["EPSG:32601", "EPSG:32731"]), min_size=1),
    gsd=st.frozensets(st.sampled_from([10.0, 20.0]), min_size=1),
    spacings=st.frozensets(st.sampled_from([2_000.0, 10_000.0])),
    attribution=st.frozensets(st.sampled_from(["Sentinel data 2024.", "Sentinel data 2025.", "AEF."])),
)


@given(facts, facts, facts)
def test_facts_join_in_any_order_and_twice_is_once(a: Facts, b: Facts, c: Facts) -> None:
    assert a.joined(b) == b.joined(a)
    assert a.joined(b).joined(c) == a.joined(b.joined(c))
    assert a.joined(a) == a
    assert a.joined(b).joined(b) == a.joined(b)


@given(facts)
def test_a_collection_tells_the_facts_that_it_was_rendered_from(known: Facts) -> None:
    document = json.loads(to_bytes(collection_document(known)))
    assert facts_of_collection(document, where="here") == known
    assert collection_document(facts_of_collection(document, where="here")) == collection_document(known)


def test_extent_is_widened_by_each_product(make_manifest: Make) -> None:
    paris = make_manifest("543U_17R", 2019)
    london = make_manifest("573U_1L", 2024)
    extent = collection_from_manifests([paris, london])["extent"]
    assert extent["temporal"]["interval"] == [["2019-01-01T00:00:00Z", "2024-12-31T23:59:59Z"]]
    (bbox,) = extent["spatial"]["bbox"]
    boxes = [manifest.request.grid.bounds_lonlat for manifest in (paris, london)]
    assert bbox == [boxes[1][0], boxes[0][1], boxes[0][2], boxes[1][3]]


def test_a_product_across_180_degrees_opens_all_longitudes(make_manifest: Make) -> None:
    collection = collection_from_manifests([make_manifest("188D_1917R")])
    (bbox,) = collection["extent"]["spatial"]["bbox"]
    assert (bbox[0], bbox[2]) == (-180, 180)
    assert -17 < bbox[1] < bbox[3] < -16


def test_real_and_trained(make_manifest: Make) -> None:
    collection = collection_from_manifests([make_manifest()])
    assert collection["id"] == "betaearth-robust-v1"
    assert collection["version"] == "v1"
    assert collection["experimental"] is False
    assert collection["emb:fit_for_use"]
    assert "ntrained" not in json.dumps([collection["title"], collection["description"], collection["keywords"]])
    assert "ynthetic" not in json.dumps([collection["title"], collection["description"], collection["keywords"]])
    assert "sign(q) * (q / 127.5)**2" in collection["description"]
    assert "Czerkawski" in collection["sci:citation"]
    assert collection["license"] == "CC-BY-4.0"


DEMO: dict[str, Any] = {
    "variant": "demo",
    "trained_on_synthetic": True,
    "source": "synthetic:v1:seed=0",
    "source_title": "Synthetic Earth v1",
}


def test_trained_on_synthetic_data_is_said_wherever_one_looks(make_manifest: Make) -> None:
    collection = collection_from_manifests([make_manifest(**DEMO)])
    assert collection["title"].endswith("(network trained on synthetic data, synthetic source)")
    assert "**Trained on synthetic data:**" in collection["description"]
    assert {"trained on synthetic data", "synthetic"} <= set(collection["keywords"])
    assert "untrained" not in json.dumps([collection["title"], collection["description"], collection["keywords"]])
    assert collection["experimental"] is True
    assert "emb:fit_for_use" not in collection
    assert collection["summaries"]["betaearth:model"][0]["trained_on_synthetic"] is True


def test_only_what_learned_from_the_real_earth_emulates_alphaearth(make_manifest: Make) -> None:
    real, demo, seeded = (
        collection_from_manifests([make_manifest(**details)]) for details in ({}, DEMO, {"trained": False})
    )
    assert "emulates AlphaEarth" in real["description"]
    assert "AlphaEarth emulation" in real["keywords"]
    for other in (demo, seeded):
        assert "emulates" not in other["description"]
        assert not [word for word in other["keywords"] if "AlphaEarth" in word]
        assert "Every Item links the manifest" in other["description"]


def test_an_older_network_of_the_same_name_keeps_its_own_caveat(make_manifest: Make) -> None:
    """Facts survive the way through the Collection, whichever of them came first."""
    seeded = facts_of_manifest(make_manifest(**{**DEMO, "trained_on_synthetic": False, "trained": False}))
    trained = facts_of_manifest(make_manifest(**DEMO))
    document = json.loads(to_bytes(collection_document(seeded)))
    both = facts_of_collection(document, where="collection.json").joined(trained)
    assert both == trained.joined(seeded)
    assert both.title.endswith("(untrained network, network trained on synthetic data, synthetic source)")


def test_untrained_and_synthetic_is_said_wherever_one_looks(make_manifest: Make) -> None:
    collection = collection_from_manifests(
        [make_manifest(variant="demo", trained=False, source="synthetic:v1:seed=0", source_title="Synthetic Earth v1")]
    )
    assert collection["title"].endswith("(untrained network, synthetic source)")
    assert "**Untrained:**" in collection["description"]
    assert "**Synthetic:**" in collection["description"]
    assert {"untrained", "synthetic"} <= set(collection["keywords"])
    assert not {"Sentinel-1", "Sentinel-2", "Copernicus"} & set(collection["keywords"])
    assert collection["experimental"] is True
    assert "emb:fit_for_use" not in collection
    assert [provider["name"] for provider in collection["providers"]] == ["betaearth"]
    assert collection["summaries"]["betaearth:model"][0]["trained"] is False
    assert collection["summaries"]["betaearth:synthetic"] == [True]


def test_assets_and_rendering_follow_the_data_type(make_manifest: Make) -> None:
    for dtype, nodata, limit in (("int8", -128, 64), ("float32", -9999.0, 0.25)):
        collection = collection_from_manifests([make_manifest(dtype=dtype)])
        embeddings = collection["item_assets"]["embeddings"]
        assert (collection["data_type"], embeddings["data_type"], embeddings["nodata"]) == (
            dtype,
            dtype,
            nodata,
        )
        assert collection["renders"]["axes"]["rescale"] == [[-limit, limit]] * 3
        assert collection["renders"]["axes"]["nodata"] == nodata
        assert ("sign(q)" in collection["description"]) == (dtype == "int8")


def test_only_products_make_a_collection(make_manifest: Make) -> None:
    with pytest.raises(DataError, match="is of no product"):
        facts_of_manifest(make_manifest(outcome="empty"))


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"id": "x", "extent": {"spatial": {"bbox": [[1, 2, 3]]}, "temporal": {"interval": [[None, None]]}}},
        {"id": "x", "summaries": {}, "extent": {}},
        {"id": "x", "summaries": None, "extent": None},
    ],
)
def test_a_collection_of_others_is_refused_by_its_place(document: dict[str, Any]) -> None:
    with pytest.raises(DataError, match=r"^a/collection\.json is not a Collection that betaearth wrote"):
        facts_of_collection(document, where="a/collection.json")


def test_an_attribution_that_is_no_text_is_refused(make_manifest: Make) -> None:
    document = collection_document(facts_of_manifest(make_manifest())) | {"attribution": 5}
    with pytest.raises(DataError, match="is not a Collection that betaearth wrote"):
        facts_of_collection(document, where="a/collection.json")


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("extent.spatial.bbox", [["a", 0, 0, 0]]),
        ("extent.spatial.bbox", [[0, 0, 0]]),
        ("extent.temporal.interval", [["now", "then"]]),
        ("id", 5),
        ("summaries.gsd", ["10"]),
        ("summaries.gsd", [None]),
        ("summaries.gsd", []),
        ("summaries.proj:code", [32651]),
        ("summaries.data_type", ["int16"]),
        ("summaries.data_type", [["int8"]]),
        ("summaries.betaearth:model", [5]),
        ("summaries.betaearth:model", [{}]),
        ("summaries.betaearth:model", [{"trained": "yes", "variant": "robust"}]),
        ("summaries.betaearth:source", [5]),
        ("summaries.betaearth:synthetic", ["no"]),
        ("summaries.betaearth:spacing_m", ["10 km"]),
        ("summaries", []),
        ("attribution", 5),
    ],
)
def test_facts_of_another_type_are_none(make_manifest: Callable[..., Manifest], part: str, value: object) -> None:
    document = collection_from_manifests([make_manifest()])
    *above, last = part.split(".")
    parent = document
    for name in above:
        parent = parent[name]
    parent[last] = value
    with pytest.raises(DataError, match="is not a Collection that betaearth wrote"):
        facts_of_collection(document, where="a/collection.json")
