from __future__ import annotations

import copy
import json
import math
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import jsonschema
import pytest
from jsonschema.validators import validator_for
from pystac.validation.local_validator import get_local_schema_cache
from referencing import Registry, Resource

from betaearth.errors import ConfigError, DataError
from betaearth.products.manifest import Manifest
from betaearth.stac import extension
from betaearth.stac.collection import collection_from_manifests
from betaearth.stac.document import to_bytes
from betaearth.stac.item import item_document, item_from_manifest
from betaearth.stac.validation import Validator, read_schemas

Make = Callable[..., Manifest]
KeyOf = Callable[[Manifest], str]
Change = Callable[[dict[str, Any]], object]

MISSING = object()


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> NoReturn:
        raise AssertionError("validation asked the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.fixture(scope="module")
def alone() -> Validator:
    """Core and our extension."""
    return Validator()


@pytest.fixture(scope="module")
def complete(spec: Path) -> Validator:
    """Every extension that we declare."""
    return Validator(spec / "stac_schemas")


@pytest.fixture
def item(make_manifest: Make, manifest_key_of: KeyOf) -> Callable[..., dict[str, Any]]:
    def make(*args: Any, **details: Any) -> dict[str, Any]:
        manifest = make_manifest(*args, **details)
        made = item_from_manifest(manifest, manifest_key=manifest_key_of(manifest), manifest_bytes=manifest.to_bytes())
        parsed: dict[str, Any] = json.loads(to_bytes(item_document(made)))
        return parsed

    return make


def collection(*manifests: Manifest) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(to_bytes(collection_from_manifests(manifests)))
    return parsed


VARIETY: list[dict[str, Any]] = [
    {},
    {"dtype": "float32"},
    {"cell": "188D_1917R"},
    {"cell": "2166U_5231R", "spacing_m": 2000.0},
    {"variant": "demo", "trained": False, "source": "synthetic:v1:seed=0", "source_title": "Synthetic Earth"},
    {"variant": "demo", "trained_on_synthetic": True, "source": "synthetic:v1:seed=0"},
    {"attribution": ()},
]


@pytest.mark.parametrize("details", VARIETY, ids=str)
def test_items_agree_with_every_schema_that_they_declare(
    complete: Validator, item: Callable[..., dict[str, Any]], details: dict[str, Any]
) -> None:
    assert complete.check(item(**details), where="here") == ()


@pytest.mark.parametrize("details", VARIETY, ids=str)
def test_collections_agree_with_every_schema_that_they_declare(
    complete: Validator, make_manifest: Make, details: dict[str, Any]
) -> None:
    assert complete.check(collection(make_manifest(**details)), where="here") == ()


def test_a_collection_of_several_kinds_is_valid(complete: Validator, make_manifest: Make) -> None:
    mixed = collection(
        make_manifest(dtype="int8"),
        make_manifest("434U_1046R", 2020, dtype="float32", source="synthetic:v1:seed=0", source_title="Synthetic"),
    )
    assert complete.check(mixed, where="here") == ()
    assert "data_type" not in mixed


def test_examples_of_others_are_judged_by_what_they_declare(complete: Validator, spec: Path) -> None:
    for name in ("example_item.json", "example_collection.json"):
        assert complete.check(json.loads((spec / name).read_bytes()), where=name) == ()


def test_what_is_declared_but_not_at_hand_is_reported(
    alone: Validator, item: Callable[..., dict[str, Any]], make_manifest: Make
) -> None:
    for document in (item(), collection(make_manifest())):
        others = sorted(set(document["stac_extensions"]) - {extension.URI})
        assert others
        assert alone.check(document, where="here") == tuple(others)


def put(path: str, value: Any = MISSING) -> Change:
    """Change what is at a path of keys joined by slashes; without a value, delete it."""

    def change(document: dict[str, Any]) -> None:
        *parents, last = path.split("/")
        target: Any = document
        for key in parents:
            target = target[int(key) if isinstance(target, list) else key]
        if value is MISSING:
            del target[int(last) if isinstance(target, list) else last]
        else:
            target[int(last) if isinstance(target, list) else last] = value

    return change


def upper_checksum(document: dict[str, Any]) -> None:
    asset = document["assets"]["quality"]
    asset["file:checksum"] = asset["file:checksum"][:4] + "ABCDEF" + asset["file:checksum"][10:]


def swapped(name: str) -> Change:
    def change(document: dict[str, Any]) -> None:
        bands = document["assets"]["embeddings"][name]
        bands[3], bands[4] = bands[4], bands[3]

    return change


WRONG_ITEMS: dict[str, tuple[Change, str]] = {
    "a CRS that is no UTM zone": (put("properties/proj:code", "EPSG:3857"), "proj:code"),
    "zone 61": (put("properties/proj:code", "EPSG:32661"), "proj:code"),
    "proj:epsg": (put("properties/proj:epsg", 32651), "proj:epsg"),
    "proj:code gone": (put("properties/proj:code"), "proj:code"),
    "three dimensions": (put("properties/proj:shape", [1, 2, 3]), "proj:shape"),
    "south-up": (put("properties/proj:transform/4", 10.0), "proj:transform"),
    "rotated": (put("properties/proj:transform/1", 0.5), "proj:transform"),
    "five numbers": (put("properties/proj:transform", [10.0, 0, 0, 0, -10.0]), "proj:transform"),
    "checksum in capitals": (upper_checksum, "assets.quality"),
    "checksum without multihash": (put("assets/embeddings/file:checksum", "0" * 64), "file:checksum"),
    "an empty file": (put("assets/thumbnail/file:size", 0), "file:size"),
    "size as text": (put("assets/provenance/file:size", "374"), "file:size"),
    "nodata nan": (put("assets/embeddings/nodata", "nan"), "nodata"),
    "nodata gone": (put("assets/embeddings/nodata"), "nodata"),
    "nodata of another type": (put("assets/embeddings/nodata", -9999.0), "nodata"),
    "63 bands": (put("assets/embeddings/bands/63"), "bands"),
    "63 eo:bands": (put("assets/embeddings/eo:bands/63"), "eo:bands"),
    "bands swapped": (swapped("bands"), "bands[3]"),
    "eo:bands swapped": (swapped("eo:bands"), "eo:bands"),
    "data type": (put("assets/embeddings/data_type", "uint8"), "data_type"),
    "quality data type": (put("assets/quality/data_type", "uint8"), "data_type"),
    "no quality": (put("assets/quality"), "assets"),
    "a preview taken for a raster": (put("assets/thumbnail/roles", ["thumbnail", "visual"]), "roles"),
    "no sampling": (put("assets/embeddings/raster:sampling"), "raster:sampling"),
    "quantisation not told": (put("properties/emb:quantization"), "emb:quantization"),
    "quantisation unknown": (put("properties/emb:quantization/method", "linear"), "method"),
    "grid code": (put("properties/grid:code", "MGRS-32TQM"), "grid:code"),
    "id in capitals": (put("id", "Betaearth"), "$.id"),
    "local time": (put("properties/created", "2026-01-02T03:04:05+01:00"), "created"),
    "no version": (put("properties/version"), "version"),
    "no lineage": (put("properties/processing:lineage"), "processing:lineage"),
    "no software": (put("properties/processing:software/betaearth"), "processing:software"),
    "no manifest linked": (put("links/5"), "links"),
    "no collection linked": (put("links/2"), "links"),
    "unknown field of ours": (put("properties/betaearth:mood", "good"), "betaearth:mood"),
    "unknown field inside": (put("properties/betaearth:model/mood", "good"), "betaearth:model"),
    "not trained on made-up data, spelt out": (
        put("properties/betaearth:model/trained_on_synthetic", False),
        "trained_on_synthetic",
    ),
    "not said whether trained": (put("properties/betaearth:model/trained"), "trained"),
    "digest": (put("properties/betaearth:provenance/fingerprint", "abc"), "fingerprint"),
    "radiometry": (put("properties/betaearth:provenance/radiometry", ["raw"]), "radiometry"),
    "more than everything valid": (
        put("properties/betaearth:observations/valid_fraction", 1.5),
        "valid_fraction",
    ),
    "no scene": (put("properties/betaearth:observations/scenes", 0), "scenes"),
    "geometry of core": (put("geometry/type", "Circle"), "geometry"),
    "core version": (put("stac_version", "1.0.0"), "stac_version"),
}


@pytest.mark.parametrize("wrong", WRONG_ITEMS)
def test_a_wrong_item_is_caught_without_any_other_schema(
    alone: Validator, item: Callable[..., dict[str, Any]], wrong: str
) -> None:
    change, place = WRONG_ITEMS[wrong]
    document = item()
    alone.check(copy.deepcopy(document), where="here")
    change(document)
    with pytest.raises(DataError, match=r"^here is not valid STAC 1\.1\.0:\n- ") as caught:
        alone.check(document, where="here")
    assert place in str(caught.value)


def reference_paths(document: dict[str, Any], spec: Path) -> set[tuple[str, str]]:
    """Judge a document by another implementation of JSON Schema: (schema, JSON path) of every violation."""
    schemas: dict[str, Any] = {**get_local_schema_cache(), **read_schemas(spec / "stac_schemas")}
    schemas[extension.URI] = extension.schema()
    resources = [(uri, Resource.from_contents(schema)) for uri, schema in schemas.items()]
    registry: Registry[Any] = Registry().with_resources(resources).crawl()
    core = "https://schemas.stacspec.org/v1.1.0/item-spec/json-schema/item.json"
    return {
        (uri, error.json_path)
        for uri in (core, *document["stac_extensions"])
        for error in validator_for(schemas[uri], default=jsonschema.Draft7Validator)(
            schemas[uri], registry=registry
        ).iter_errors(document)
    }


def test_every_wrong_item_is_judged_as_another_implementation_does(
    complete: Validator, item: Callable[..., dict[str, Any]], spec: Path
) -> None:
    for name, (change, _) in WRONG_ITEMS.items():
        document = item()
        change(document)
        found = {
            (violation.rpartition(" (")[2].rstrip(")"), violation.partition(": ")[0])
            for violation in complete.violations(document)
        }
        assert found == reference_paths(document, spec), name


def test_float32_with_a_quantisation_is_caught(alone: Validator, item: Callable[..., dict[str, Any]]) -> None:
    document = item(dtype="float32")
    document["properties"]["emb:quantization"] = item()["properties"]["emb:quantization"]
    assert alone.violations(document)


WRONG_COLLECTIONS: dict[str, tuple[Change, str]] = {
    "dimensions": (put("emb:dimensions", 63), "emb:dimensions"),
    "63 bands": (put("item_assets/embeddings/bands/63"), "bands"),
    "models not summarised": (put("summaries/betaearth:model"), "betaearth:model"),
    "synthetic not told": (put("summaries/betaearth:synthetic"), "betaearth:synthetic"),
    "a zone that is none": (put("summaries/proj:code", ["EPSG:4326"]), "proj:code"),
    "no licence": (put("license"), "license"),
    "unknown field of ours": (put("betaearth:mood", "good"), "betaearth:mood"),
    "interval of core": (put("extent/temporal/interval", [["2024-01-01"]]), "interval"),
}


@pytest.mark.parametrize("wrong", WRONG_COLLECTIONS)
def test_a_wrong_collection_is_caught(alone: Validator, make_manifest: Make, wrong: str) -> None:
    change, place = WRONG_COLLECTIONS[wrong]
    document = collection(make_manifest())
    assert not alone.violations(document)
    change(document)
    assert any(place in violation for violation in alone.violations(document))


def test_every_violation_is_listed(alone: Validator, item: Callable[..., dict[str, Any]]) -> None:
    document = item()
    document["properties"]["proj:code"] = "EPSG:4326"
    document["assets"]["quality"]["nodata"] = "nan"
    with pytest.raises(DataError) as caught:
        alone.check(document, where="here")
    message = str(caught.value)
    assert "$.properties['proj:code']: \"EPSG:4326\"" in message
    assert "$.assets.quality.nodata" in message


def test_a_document_that_is_wrong_all_over_is_cut_short(alone: Validator, item: Callable[..., dict[str, Any]]) -> None:
    document = item()
    document["links"] = [{"rel": "x"} for _ in range(30)]
    with pytest.raises(DataError, match=r"- and \d+ more$"):
        alone.check(document, where="here")


@pytest.mark.parametrize("document", [{}, {"type": "Thing"}, {"type": "FeatureCollection"}])
def test_what_is_no_stac_is_refused(alone: Validator, document: dict[str, Any]) -> None:
    with pytest.raises(DataError, match="is not one of"):
        alone.check(document, where="here")


@pytest.mark.parametrize("extensions", ["text", [1, None], None, {}])
def test_extensions_that_are_no_list_are_left_to_core(alone: Validator, extensions: object) -> None:
    document = {"type": "Catalog", "stac_version": "1.1.0", "id": "x", "description": "x", "links": []}
    assert not alone.violations(document)
    assert alone.violations({**document, "stac_extensions": extensions})


def test_a_folder_without_index_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"index.json is missing"):
        Validator(tmp_path)


def test_an_index_that_names_a_missing_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "index.json").write_text('{"https://example.org/a.json": "a.json"}')
    with pytest.raises(ConfigError, match=r"a.json is missing"):
        Validator(tmp_path)


@pytest.mark.parametrize("text", ["{", "[]"])
def test_an_index_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "index.json").write_text(text)
    with pytest.raises(ConfigError, match=r"index.json"):
        Validator(tmp_path)


CATALOG = {"type": "Catalog", "stac_version": "1.1.0", "id": "x", "description": "x", "links": []}
ADDRESS = "https://example.org/a.json"


@pytest.fixture
def with_schema(tmp_path: Path) -> Callable[[dict[str, Any]], Validator]:
    """Make a validator that has one more schema, of `ADDRESS`."""

    def make(schema: dict[str, Any]) -> Validator:
        (tmp_path / "index.json").write_text(json.dumps({ADDRESS: "a.json"}))
        (tmp_path / "a.json").write_text(json.dumps({"$id": ADDRESS, **schema}))
        return Validator(tmp_path)

    return make


WithSchema = Callable[[dict[str, Any]], Validator]


def catalog(**fields: Any) -> dict[str, Any]:
    return {**CATALOG, "stac_extensions": [ADDRESS], **fields}


@pytest.mark.parametrize("schema", [{"$ref": "https://example.org/b.json"}, {"not": {"$ref": "./b.json"}}], ids=str)
def test_a_schema_that_refers_to_one_that_is_not_there_is_a_matter_of_setup(
    with_schema: WithSchema, schema: dict[str, Any]
) -> None:
    with pytest.raises(ConfigError, match=r"refers to https://example\.org/b\.json, which is not at hand"):
        with_schema(schema).check(catalog(), where="here")


def test_a_schema_that_is_not_there_is_missed_only_where_it_is_asked(with_schema: WithSchema) -> None:
    validator = with_schema({"properties": {"mood": {"$ref": "https://example.org/b.json"}}})
    assert validator.check(catalog(), where="here") == ()
    with pytest.raises(ConfigError, match="not at hand"):
        validator.check(catalog(mood="good"), where="here")
    assert validator.check(catalog(), where="here") == ()


def test_an_item_with_projjson_needs_the_schema_of_proj(
    complete: Validator, item: Callable[..., dict[str, Any]]
) -> None:
    document = item()
    document["properties"]["proj:projjson"] = {"type": "GeographicCRS"}
    with pytest.raises(ConfigError, match=r"refers to https://proj\.org/schemas/v0\.7/projjson\.schema\.json"):
        complete.check(document, where="here")


@pytest.mark.parametrize(
    "schema",
    [{"type": "thing"}, {"properties": 3}, {"$ref": "#/definitions/x"}],
    ids=str,
)
def test_a_schema_that_is_none_is_a_matter_of_setup(with_schema: WithSchema, schema: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"the schema https://example\.org/a\.json cannot be used: "):
        with_schema(schema).check(catalog(), where="here")


DRAFTS = {
    "none": {"prefixItems": [{"type": "string"}], "dependentRequired": {"a": ["b"]}, "items": [{"type": "number"}]},
    "http://json-schema.org/draft-07/schema#": {"items": [{"type": "number"}]},
    "https://json-schema.org/draft/2019-09/schema": {"items": [{"type": "number"}]},
    "https://json-schema.org/draft/2020-12/schema": {"prefixItems": [{"type": "number"}]},
}


@pytest.mark.parametrize("draft", DRAFTS)
def test_a_schema_is_read_by_its_own_draft_and_without_one_by_draft_7(with_schema: WithSchema, draft: str) -> None:
    dialect = {} if draft == "none" else {"$schema": draft}
    validator = with_schema({**dialect, "properties": {"a": DRAFTS[draft]}})
    assert validator.violations(catalog(a=[1])) == []
    assert len(validator.violations(catalog(a=["x"]))) == 1


def test_formats_annotate(with_schema: WithSchema) -> None:
    validator = with_schema({"properties": {"a": {"format": "date-time"}, "b": {"format": "iri-reference"}}})
    assert validator.violations(catalog(a="yesterday", b="\\")) == []


@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_a_number_that_json_cannot_say_is_none(
    alone: Validator, item: Callable[..., dict[str, Any]], number: float
) -> None:
    document = item()
    document["bbox"][0] = number
    assert any(violation.startswith("$.bbox") for violation in alone.violations(document))


def test_a_name_that_is_no_text_is_refused(alone: Validator, item: Callable[..., dict[str, Any]]) -> None:
    document = item()
    document["properties"]["\ud800"] = 1
    with pytest.raises(DataError, match="no Unicode text"):
        alone.check(document, where="here")
