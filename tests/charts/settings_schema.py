"""The part of the chart's schema that says what settings may be: made of the software's own settings.

`python -m tests.charts.settings_schema` writes it anew. A setting comes as a number, a boolean or, since it becomes an
environment variable, as the text of one, so each range stands twice: as bounds of a number, and as a pattern of a text.
An empty text is no setting at all.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from betaearth.grid.majortom import MAX_SPACING_M, MIN_SPACING_M
from betaearth.nn.variants import VARIANTS
from betaearth.scenes.profile import built_in_names
from betaearth.settings import PREFIX, Settings
from tests.charts.rendered import CHART

FOLLOWS = frozenset({"BETAEARTH_IMAGE", "BETAEARTH_DEVICE", "BETAEARTH_CACHE"})
"""Settings that follow from other values: the image, GPUs or none, and where the cache is mounted."""
APP = ("BETAEARTH_APP__", "BETAEARTH_MAX_OUTPUT_MB")
"""Settings of the app, which no pod runs."""
CREDENTIALS = frozenset({"BETAEARTH_CLUSTER__ARGO_TOKEN"})
"""Settings that no pod needs: the schema lets them pass, and the templates say where they belong."""
TEXT = {"$ref": "#/definitions/setting"}
"""Any text; a number and a boolean become one."""
FALSE_AND_TRUE = [False, True, 0, 1, "", *("false", "true", "0", "1", "no", "yes", "off", "on")]
FRACTION = r"(\.[0-9]+)?"
NUMBER = rf"-?[0-9]+{FRACTION}"
OPEN: dict[tuple[object, ...], str] = {
    ("integer",): "-?[0-9]+",
    ("integer", ("minimum", 0)): "[0-9]+",
    ("integer", ("minimum", 1)): "[1-9][0-9]*",
    ("number",): NUMBER,
    ("number", ("minimum", 0)): f"[0-9]+{FRACTION}",
    ("number", ("exclusiveMinimum", 0)): rf"[0-9]*[1-9][0-9]*{FRACTION}|0+\.[0-9]*[1-9][0-9]*",
}
"""Texts of numbers without an upper bound."""

Schema = dict[str, Any]


def settings_schema() -> Schema:
    """JSON schema of `settings`: variable to what it may hold."""
    whole = Settings.model_json_schema()
    properties: Schema = {}
    for name, field in whole["properties"].items():
        group = _resolved(field, whole).get("properties")
        nested = {f"{name}__{inner}": each for inner, each in group.items()} if group else {name: field}
        properties |= {f"{PREFIX}{each.upper()}": _schema_of(_resolved(nested[each], whole)) for each in nested}
    properties |= _of_a_cluster()
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            name: each for name, each in properties.items() if name not in FOLLOWS and not name.startswith(APP)
        },
    }


def _of_a_cluster() -> Schema:
    """What is narrower for pods, or has words that a type does not say."""
    names = {name for variant in VARIANTS.values() for name in (variant.name, (variant.repo or "").split("/")[-1])}
    variants = "|".join(sorted(names - {""}))
    places = "|".join([*built_in_names(), "synthetic(:[0-9]{1,9})?", "https?://\\S+"])
    return {
        "BETAEARTH_STORE": {
            "type": "string",
            "pattern": "^$|^s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[^?#]*)?$",
            "description": "s3://bucket/prefix",
        },
        "BETAEARTH_SOURCE": {
            "type": "string",
            "pattern": f"^$|^({places})$|^(s3:/)?/\\S+\\.(geo)?json$|^/\\S+\\.toml$",
            "description": "A source's name, an address, or a file that pods have.",
        },
        "BETAEARTH_MODEL": {
            "type": "string",
            "pattern": f"^$|^({variants})$|^[A-Za-z0-9_-][A-Za-z0-9_.-]*/[A-Za-z0-9_-][A-Za-z0-9_.-]*$|^/\\S+$",
            "description": "A variant's name, a hub id (owner/name), or a path that pods have.",
        },
        "BETAEARTH_SPACING_KM": {
            "type": ["number", "string"],
            "minimum": MIN_SPACING_M / 1000,
            "maximum": MAX_SPACING_M / 1000,
            "pattern": f"^$|^({number_pattern('number', {'exclusiveMinimum': 0})})$",
        },
        "BETAEARTH_CLUSTER__ARGO_TOKEN": {
            "description": "Refused by the templates, which say where it belongs: the shell that submits."
        },
    }


def _resolved(field: Schema, whole: Schema) -> Schema:
    """Follow a reference, and leave out that nothing may be given."""
    if "anyOf" in field:
        (field,) = (each for each in field["anyOf"] if each != {"type": "null"})
    if "$ref" in field:
        return dict(whole["$defs"][field["$ref"].rpartition("/")[2]])
    return field


def _schema_of(field: Schema) -> Schema:
    """What a setting of a type may be.

    Raises:
        ValueError: settings have come to hold something that is not known here.
    """
    match field:
        case {"enum": values}:
            return {"enum": ["", *values]}
        case {"type": "boolean"}:
            return {"enum": FALSE_AND_TRUE}
        case {"type": "integer" | "number" as kind}:
            bounds: dict[str, float] = {
                key: field[key] for key in ("minimum", "maximum", "exclusiveMinimum") if key in field
            }
            return {"type": [kind, "string"], **bounds, "pattern": f"^$|^({number_pattern(kind, bounds)})$"}
        case {"type": "array", "prefixItems": items} if all(each == {"type": "number"} for each in items):
            return {"type": "string", "pattern": rf"^$|^\[ *{' *, *'.join([NUMBER] * len(items))} *\]$"}
        case {"type": "string", "pattern": pattern}:
            return {"type": "string", "pattern": f"^$|{pattern}"}
        case {"type": "string"}:
            return TEXT
    raise ValueError(f"no schema for {field}")


def number_pattern(kind: str, bounds: Mapping[str, float]) -> str:
    """Regular expression of the texts of numbers within bounds, without look-ahead, which Go does not have.

    Args:
        kind: `integer` or `number`.
        bounds: `minimum` or `exclusiveMinimum`, and `maximum`, of JSON schema; whole numbers.

    Raises:
        ValueError: bounds that no option has had so far.
    """
    low, high = bounds.get("minimum"), bounds.get("maximum")
    if low is not None and high is not None:
        whole = _whole(int(low), int(high) - (kind == "number"))
        return whole if kind == "integer" else rf"({whole}){FRACTION}|{int(high)}(\.0+)?"
    found = OPEN.get((kind, *bounds.items()))
    if found is None:
        raise ValueError(f"no pattern for {kind} within {bounds}")
    return found


def _whole(low: int, high: int) -> str:
    """Alternatives for the whole numbers from low to high, neither below zero: those of each length."""
    lengths = range(len(str(low)), len(str(high)) + 1)
    parts = [(max(low, 10 ** (n - 1) if n > 1 else 0), min(high, 10**n - 1)) for n in lengths]
    return "|".join(_digits(str(first), str(last)) for first, last in parts)


def _digits(low: str, high: str) -> str:
    """Regular expression of the numbers between two of the same length."""
    if set(low) <= {"0"} and set(high) <= {"9"}:
        return {0: "", 1: "[0-9]"}.get(len(low), f"[0-9]{{{len(low)}}}")
    first, last, rest = int(low[0]), int(high[0]), len(low) - 1
    if first == last:
        return f"{first}{_digits(low[1:], high[1:])}"
    parts = []
    if set(low[1:]) - {"0"}:
        parts.append(f"{first}{_digits(low[1:], '9' * rest)}")
        first += 1
    ends = set(high[1:]) - {"9"}
    middle = last - 1 if ends else last
    if first <= middle:
        parts.append(f"{first if first == middle else f'[{first}-{middle}]'}{_digits('0' * rest, '9' * rest)}")
    if ends:
        parts.append(f"{last}{_digits('0' * rest, high[1:])}")
    return parts[0] if len(parts) == 1 else f"({'|'.join(parts)})"


if __name__ == "__main__":
    path = CHART / "values.schema.json"
    schema = json.loads(path.read_text())
    schema["properties"]["settings"] = settings_schema()
    path.write_text(json.dumps(schema, indent=2) + "\n")
