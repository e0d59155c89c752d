"""What is submitted: a region's words as the parameters of the WorkflowTemplate `betaearth-region`. Pure."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from betaearth.cluster.nodes import parameters_of
from betaearth.cluster.workflows import FROM_TEMPLATE, PART, Submission
from betaearth.errors import DataError
from betaearth.grid.majortom import MajorTomGrid
from betaearth.grid.region import Region
from betaearth.pipeline.given_geojson import geojson_name, is_text, parsed_geojson, path_of, scheme_of
from betaearth.pipeline.job import check_year
from betaearth.storage.s3_uri import parse_s3_uri

REGION_TEMPLATE = "betaearth-region"
REGION_LABELS = {
    PART: "region",
    "app.kubernetes.io/name": "betaearth",
    "app.kubernetes.io/part-of": "betaearth",
}
LARGEST_GEOJSON = 32_000
"""Bytes of GeoJSON that travel as a parameter: the Workflow keeps several copies beside the nodes of its shards."""
LARGEST_OPTIONS = 1_000
"""Bytes of options: every node of a tile-year keeps a copy."""


def region_submission(
    area: Mapping[str, str],
    years: Sequence[int],
    *,
    store: str | None = None,
    source: str | None = None,
    model: str | None = None,
    options: Iterable[str] = (),
    refresh: bool = False,
    shard_size: int | None = None,
    tiles_per_pod: int | None = None,
) -> Submission:
    """Make the submission of a region.

    Args:
        area: the one parameter that says where, as `bbox_words` and its like spell it.
        years: calendar years.
        store: where products go; None leaves it to the cluster's settings, as with the next two.
        source: where imagery comes from.
        model: variant, hub id or address of weights.
        options: further words for `betaearth tile`.
        refresh: search again where there is a product.
        shard_size: tile-years of a shard; None leaves it to the template, as with the next.
        tiles_per_pod: tile-years that a pod makes one after the other.

    Raises:
        DataError: there is no region or several, no year or an impossible one, or a value that Argo would fill in.
    """
    if len(area) != 1:
        raise DataError(
            f"{len(area) or 'no'} regions given: exactly one of bbox, GeoJSON, OSM relation and cells is needed"
        )
    if not years:
        raise DataError("no years given: give at least one, such as 2024")
    parameters = {
        **area,
        "years": " ".join(str(check_year(year)) for year in dict.fromkeys(years)),
        "store": store,
        "source": source,
        "model": model,
        "options": shlex.join(options) or None,
        "refresh": "true" if refresh else None,
        "shard-size": None if shard_size is None else str(shard_size),
        "tiles-per-pod": None if tiles_per_pod is None else str(tiles_per_pod),
    }
    given = {name: value for name, value in parameters.items() if value is not None}
    if len(given.get("options", "")) > LARGEST_OPTIONS:
        raise DataError(
            f"the options have {len(given['options'])} characters, and at most {LARGEST_OPTIONS} travel with a "
            "Workflow: set what holds for all runs in the chart's values"
        )
    for name, value in given.items():
        if "{{" in value:
            raise DataError(f"{name} holds '{{{{', which Argo would fill in: {value[:80]!r}")
    return Submission(REGION_TEMPLATE, given, f"{REGION_TEMPLATE}-", REGION_LABELS)


def bbox_words(bbox: Sequence[float]) -> dict[str, str]:
    """Spell a bounding box: west, south, east, north, degrees.

    Raises:
        DataError: it is impossible.
    """
    Region.from_bbox(bbox)
    return {"bbox": " ".join(f"{degrees:.12g}" for degrees in bbox)}


def cells_words(ids: Sequence[str], grid: MajorTomGrid) -> dict[str, str]:
    """Spell a list of cells.

    Raises:
        DataError: the grid has no such cell.
    """
    Region.from_cells(ids, grid)
    return {"cells": " ".join(ids)}


def osm_words(relation: int) -> dict[str, str]:
    """Spell a relation of OpenStreetMap, which the plan asks for.

    Raises:
        DataError: it is no number that a relation has.
    """
    if relation <= 0:
        raise DataError(f"OSM relation {relation}: its number is positive, such as 62422")
    return {"osm-relation": str(relation)}


def geojson_words(word: str) -> dict[str, str]:
    """Spell an area of GeoJSON: an address as it is, a file or text as compact text.

    Args:
        word: `https://...`, `s3://...`, a file here, or the text itself.

    Raises:
        DataError: there is no such file, it holds no areas on Earth, or it is too large to travel with a Workflow.
        ConfigError: it is an address of another kind, or one that names no bucket.
    """
    text = word.strip()
    where, scheme = geojson_name(text), scheme_of(text)
    if scheme == "s3" and not parse_s3_uri(text)[1]:
        raise DataError(f"{where} names a bucket alone: write s3://bucket/key of the GeoJSON")
    if scheme in {"https", "http", "s3"}:
        return {"geojson": text}
    document = parsed_geojson(text if is_text(text) else _text_of(path_of(text), where), where)
    Region.from_geojson(document, name=where)
    compact = json.dumps(_bare(document), separators=(",", ":"))
    if len(compact) > LARGEST_GEOJSON:
        raise DataError(
            f"{where} has {len(compact) / 1000:.0f} kB of GeoJSON, and at most {LARGEST_GEOJSON // 1000} kB travel "
            "with a Workflow: upload it and give its s3:// or https:// address, or simplify its outline"
        )
    return {"geojson": compact}


def _text_of(path: Path, where: str) -> str:
    try:
        return path.expanduser().read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DataError(
            f"{where} cannot be read: {error.strerror}; give a file of GeoJSON here, https:// or s3://"
        ) from error
    except UnicodeDecodeError as error:
        raise DataError(f"{where} is no text: give a GeoJSON document") from error


def _bare(document: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out the properties of features: the plan looks at outlines alone."""
    if document.get("type") == "FeatureCollection":
        return {"type": "FeatureCollection", "features": [_bare(feature) for feature in document["features"]]}
    if document.get("type") == "Feature":
        return {"type": "Feature", "properties": {}, "geometry": document["geometry"]}
    return dict(document)


def workflow_of(submission: Submission, namespace: str | None = None) -> dict[str, Any]:
    """Write the Workflow of a submission: the same that an argo-server makes of it.

    It names the template and gives arguments, and nothing else, so that a controller with `templateReferencing: Strict`
    takes it; the ServiceAccount is the template's.

    Args:
        submission: of a region.
        namespace: that the document names; None leaves it to the request that brings it.
    """
    arguments = [{"name": name, "value": value} for name, value in submission.parameters.items()]
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {
            "generateName": submission.generate_name,
            **({"namespace": namespace} if namespace else {}),
            "labels": {**submission.labels, FROM_TEMPLATE: submission.template},
        },
        "spec": {
            "workflowTemplateRef": {"name": submission.template},
            "arguments": {"parameters": arguments},
        },
    }


def resubmission(workflow: Mapping[str, Any]) -> Submission:
    """Make the submission of an earlier run: the same arguments, to the same template.

    Raises:
        DataError: it is no run of a region.
    """
    name = workflow.get("metadata", {}).get("name")
    spec = workflow.get("spec") or {}
    template = (spec.get("workflowTemplateRef") or {}).get("name")
    if template != REGION_TEMPLATE:
        raise DataError(
            f"{name} is no run of {REGION_TEMPLATE}, but of {template or 'no template'}: name a region's run"
        )
    return Submission(template, parameters_of(spec.get("arguments")), f"{template}-", REGION_LABELS)
