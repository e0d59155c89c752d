"""What a region's words become."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import yaml

from betaearth.cluster.submission import (
    bbox_words,
    cells_words,
    geojson_words,
    osm_words,
    region_submission,
    resubmission,
    workflow_of,
)
from betaearth.errors import ConfigError, DataError
from betaearth.grid.majortom import MajorTomGrid
from tests.cluster.world import check_workflow

TEMPLATE = Path(__file__).parents[2] / "argo" / "betaearth-region.yaml"
SQUARE = {"type": "Polygon", "coordinates": [[[13, 48], [14, 48], [14, 49], [13, 49], [13, 48]]]}


def test_every_word_has_its_parameter_in_the_template() -> None:
    declared = {entry["name"] for entry in yaml.safe_load(TEMPLATE.read_text())["spec"]["arguments"]["parameters"]}
    areas = [
        bbox_words((13.1, 48.7, 13.4, 48.9)),
        cells_words(["433U_1046R", "434U_1046R"], MajorTomGrid()),
        osm_words(62422),
        geojson_words("https://example.org/area.json"),
    ]
    for area in areas:
        submission = region_submission(
            area,
            [2023, 2024, 2023],
            store="s3://bucket/here",
            source="earth-search",
            model="robust",
            options=["--max-cloud", "10", "--together", "a b"],
            refresh=True,
            shard_size=100,
            tiles_per_pod=4,
        )
        assert submission.parameters.keys() <= declared
        assert submission.parameters == area | {
            "years": "2023 2024",
            "store": "s3://bucket/here",
            "source": "earth-search",
            "model": "robust",
            "options": "--max-cloud 10 --together 'a b'",
            "refresh": "true",
            "shard-size": "100",
            "tiles-per-pod": "4",
        }


def test_what_is_not_given_is_left_to_the_template() -> None:
    assert region_submission(bbox_words((13.1, 48.7, 13.4, 48.9)), [2024]).parameters == {
        "bbox": "13.1 48.7 13.4 48.9",
        "years": "2024",
    }


def test_the_workflow_is_one_that_argo_knows() -> None:
    document = workflow_of(region_submission(osm_words(62422), [2024]))
    check_workflow(document, strict=True)
    assert document["spec"].keys() == {"workflowTemplateRef", "arguments"}
    assert document["metadata"]["labels"]["betaearth.github.io/part"] == "region"


@pytest.mark.parametrize("area", [{}, {"bbox": "1 2 3 4", "cells": "433U_1046R"}])
def test_exactly_one_region(area: dict[str, str]) -> None:
    with pytest.raises(DataError, match="exactly one"):
        region_submission(area, [2024])


@pytest.mark.parametrize("years", [[], [2014], [3000]])
def test_impossible_years(years: list[int]) -> None:
    with pytest.raises(DataError, match="year"):
        region_submission(osm_words(1), years)


def test_impossible_areas() -> None:
    with pytest.raises(DataError, match=r"latitude|south"):
        bbox_words((1, 50, 2, 40))
    with pytest.raises(DataError, match="9999U"):
        cells_words(["9999U_1R"], MajorTomGrid())
    with pytest.raises(DataError, match="positive"):
        osm_words(-1)


def test_what_argo_would_fill_in_is_refused() -> None:
    with pytest.raises(DataError, match="fill in"):
        region_submission(osm_words(1), [2024], store="s3://bucket/{{workflow.name}}")


def test_options_that_are_too_long() -> None:
    with pytest.raises(DataError, match="at most 1000"):
        region_submission(osm_words(1), [2024], options=["--x", "y" * 1000])


class TestGeoJSON:
    @pytest.mark.parametrize(
        "address",
        ["https://example.org/a.json", "HTTPS://h.test/x?sig=SECRET", "http://h.test/x", "s3://bucket/a.json"],
    )
    def test_an_address_stays(self, address: str) -> None:
        assert geojson_words(address) == {"geojson": address}

    @pytest.mark.parametrize("wrapped", [True, False])
    def test_a_file_travels_compact_and_without_properties(self, tmp_path: Path, wrapped: bool) -> None:
        feature = {"type": "Feature", "properties": {"name": "{{x}}" * 20_000}, "geometry": SQUARE}
        document: Any = {"type": "FeatureCollection", "features": [feature]} if wrapped else feature
        path = tmp_path / "area.json"
        path.write_text(json.dumps(document, indent=4))
        sent = geojson_words(str(path))["geojson"]
        assert " " not in sent
        assert "name" not in sent
        inner = json.loads(sent)
        assert (inner["features"][0] if wrapped else inner)["geometry"] == SQUARE

    def test_text_travels(self) -> None:
        assert json.loads(geojson_words(json.dumps(SQUARE))["geojson"]) == SQUARE

    def test_too_large(self) -> None:
        ring = [[13 + i / 10_000, 48 + (i % 2) / 1000] for i in range(5000)] + [[13.5, 49], [13, 48]]
        with pytest.raises(DataError, match=r"upload it and give its s3:// or https:// address"):
            geojson_words(json.dumps({"type": "Polygon", "coordinates": [ring]}))

    @pytest.mark.parametrize("text", ["{", '{"type": "Polygon", "coordinates": []}', '{"type": "Point"}'])
    def test_no_area(self, text: str) -> None:
        with pytest.raises(DataError):
            geojson_words(text)

    def test_a_bucket_alone(self) -> None:
        with pytest.raises(DataError, match="s3://bucket/key"):
            geojson_words("s3://bucket")

    def test_messages_name_the_file(self, tmp_path: Path) -> None:
        path = tmp_path / "area.json"
        ring = [[13 + i / 10_000, 48 + (i % 2) / 1000] for i in range(5000)] + [[13.5, 49], [13, 48]]
        large = {"type": "Polygon", "coordinates": [ring]}
        for text in ("{", "[]", '{"type": "Point"}', '{"type": "Polygon", "coordinates": []}', json.dumps(large)):
            path.write_text(text)
            with pytest.raises(DataError, match=r"area\.json"):
                geojson_words(str(path))

    def test_a_file_by_its_uri(self, tmp_path: Path) -> None:
        path = tmp_path / "an area.json"
        path.write_text("\ufeff" + json.dumps(SQUARE))
        assert json.loads(geojson_words(f"file://{quote(str(path))}")["geojson"]) == SQUARE

    def test_no_file(self, tmp_path: Path) -> None:
        for word in ("nowhere.json", "x" * 300, str(tmp_path)):
            with pytest.raises(DataError, match=r"^[^:]* cannot be read: [A-Z][a-z ]+; give a file"):
                geojson_words(word)

    def test_a_file_that_is_no_text(self, tmp_path: Path) -> None:
        path = tmp_path / "area.tif"
        path.write_bytes(b"II*\x00\xff\xfe")
        with pytest.raises(DataError, match=r"area\.tif is no text"):
            geojson_words(str(path))

    @pytest.mark.parametrize(
        ("word", "said"),
        [
            ("gs://u:SECRET@bucket/a.json", "^gs://bucket/a.json cannot be read"),
            ("ftp://h.test/x?sig=SECRET", "^ftp://h.test/x cannot be read"),
            ("https:/h.test/x?sig=SECRET", "^https:/h.test/x lacks a slash"),
            ("S3://u:SECRET@bucket/a.json", "^S3://bucket/a.json names no bucket"),
            ("s3://u:SECRET@bucket/a.json", "^s3://bucket/a.json names no bucket"),
        ],
    )
    def test_an_address_that_nobody_reads_is_told_without_its_secrets(self, word: str, said: str) -> None:
        with pytest.raises(ConfigError, match=said) as refused:
            geojson_words(word)
        assert "SECRET" not in str(refused.value)


class TestResubmission:
    def test_the_same_arguments(self) -> None:
        first = region_submission(osm_words(1), [2024], options=["--max-cloud", "10"])
        again = resubmission({**workflow_of(first), "status": {"phase": "Failed"}})
        assert again == first

    def test_values_that_are_no_text_stay_what_they_are(self) -> None:
        earlier = workflow_of(region_submission(osm_words(1), [2024]))
        values = {"refresh": True, "shard-size": 100, "cells": ["1U_1R"], "store": "s3://b/c"}
        earlier["spec"]["arguments"]["parameters"] = [{"name": name, "value": it} for name, it in values.items()]
        assert resubmission(earlier).parameters == {
            "refresh": "true",
            "shard-size": "100",
            "cells": '["1U_1R"]',
            "store": "s3://b/c",
        }

    def test_of_a_shard_it_is_refused(self) -> None:
        shard = {"metadata": {"name": "r-00000"}, "spec": {"workflowTemplateRef": {"name": "betaearth-shard"}}}
        with pytest.raises(DataError, match=r"r-00000 is no run of betaearth-region, but of betaearth-shard"):
            resubmission(shard)
