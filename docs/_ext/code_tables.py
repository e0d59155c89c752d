"""Settings, the manifest, findings of an audit, variants and fields of the extension, as tables made of their code."""

from __future__ import annotations

import inspect
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from unittest.mock import patch

from markdown_tables import Field, code, fields_of, plain, table
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from betaearth.nn.variants import ALPHAEARTH_LULC, README_023, README_025, VARIANTS
from betaearth.products import manifest as manifest_module
from betaearth.products.manifest import Manifest, Record
from betaearth.settings import PREFIX, Settings
from betaearth.stac.audit_findings import REMARKS, Kind

SCHEMA = Path(__file__).parents[2] / "catalog" / "extension" / "v1.0.0" / "schema.json"


def settings() -> str:
    """Write a table for the settings of their own, and one for each group."""
    single, groups = [], []
    for field in _described(Settings):
        inner = Settings.model_fields[field.name].annotation
        if inspect.isclass(inner) and issubclass(inner, BaseModel):
            groups.append((field.name, inner))
        else:
            single.append(_setting(Settings, field, f"{PREFIX}{field.name.upper()}"))
    head = ("variable", "default", "what")
    text = table(head, single)
    for group, model in groups:
        rows = [_setting(model, field, f"{PREFIX}{group.upper()}__{field.name.upper()}") for field in _described(model)]
        text += f"\n## {group}\n\n{plain(' '.join((inspect.getdoc(model) or '').split()))}\n\n{table(head, rows)}"
    return text


def _described(model: type[BaseModel]) -> list[Field]:
    """Return the fields of a model with what is said of them, also by the models that it is made of."""
    said = {field.name: field for base in reversed(model.__mro__) if _is_ours(base) for field in fields_of(base)}
    return [said[name] for name in model.model_fields]


def _is_ours(kind: type) -> bool:
    return kind.__module__.startswith("betaearth.")


def _setting(model: type[BaseModel], field: Field, variable: str) -> tuple[str, str, str]:
    info = model.model_fields[field.name]
    with patch.dict(os.environ, {"XDG_CACHE_HOME": ""}):  # what stands in the page is nobody's own
        default = info.get_default(call_default_factory=True, validated_data={})
    home = str(Path.home())
    shown = "" if default is None or default is PydanticUndefined else str(default).replace(home, "~")
    return code(variable), code(shown), plain(field.says) or plain(" ".join(field.name.split("_")))


def manifest() -> str:
    """Write a table for the manifest and for each record in it."""
    kinds: list[type[Record]] = [Manifest]
    for kind in vars(manifest_module).values():
        if inspect.isclass(kind) and issubclass(kind, Record) and kind not in {Record, Manifest}:
            kinds.append(kind)
    return "\n".join(
        f"## {kind.__name__}\n\n{plain((inspect.getdoc(kind) or '').removesuffix('; see the module.'))}\n\n"
        + table(("field", "type", "what"), [(code(f.name), code(f.kind), plain(f.says)) for f in fields_of(kind)])
        for kind in kinds
    )


def findings() -> str:
    """Write the kinds of findings of an audit."""
    said = {getattr(Kind, field.name): field.says for field in fields_of(Kind)}
    return table(
        ("kind", "", "what"),
        [(code(kind.value), "remark" if kind in REMARKS else "fault", plain(said[kind])) for kind in Kind],
    )


def variants() -> str:
    """Write the variants with both published tables of scores, which disagree."""
    rows = []
    for variant in VARIANTS.values():
        by_table = {score.source: score for score in variant.scores}
        rows.append(
            (
                code(variant.name),
                code(variant.repo or "shipped"),
                f"{variant.parameters:,}",
                ", ".join(variant.inputs) + (", date" if variant.doy else ""),
                "any subset" if variant.any_subset else "all at once",
                *(_scores(by_table.get(source)) for source in (README_025, README_023)),
            )
        )
    ceiling = "; ".join(f"{value} in the {source}" for source, value in ALPHAEARTH_LULC.items())
    head = ("name", "weights", "parameters", "inputs", "takes", plain(README_025), plain(README_023))
    return table(head, rows) + f"\nLand cover by AlphaEarth itself, the ceiling of either table: {ceiling}.\n"


def _scores(score: Any) -> str:  # noqa: ANN401  # betaearth.nn.variants.Scores, or None
    if score is None:
        return "none"
    spread = "" if score.std is None else f" ± {score.std:.3f}"
    return f"cosine {score.cosine:.3f}{spread}, land cover {score.lulc:.3f}"


def subset_scores() -> str:
    """Write what was published of `robust` on some inputs alone."""
    scores = VARIANTS["robust"].subset_scores
    return table(("inputs", "cosine", "from"), [(s.inputs, f"{s.cosine:.3f}", plain(s.source)) for s in scores])


def extension() -> str:
    """Write the `betaearth:` objects of an Item, field by field, as the schema has them."""
    definitions = json.loads(SCHEMA.read_text(encoding="utf-8"))["definitions"]
    text = ""
    for name in ("model", "provenance", "observations"):
        required = set(definitions[name].get("required", []))
        rows = [
            (code(field), "yes" if field.split(".")[0] in required else "", code(kind), plain(title))
            for field, kind, title in _properties(definitions[name], definitions)
        ]
        text += f"\n## betaearth:{name}\n\n{table(('field', 'required', 'type', 'what'), rows)}"
    return text


def _properties(
    schema: Mapping[str, Any], definitions: Mapping[str, Any], above: str = ""
) -> Iterator[tuple[str, str, str]]:
    """Yield (field, type, title) of an object's properties, and of objects in it."""
    for name, given in schema.get("properties", {}).items():
        held = definitions[given["$ref"].rpartition("/")[2]] | given if "$ref" in given else given
        kind = held.get("type") or json.dumps(held["const"] if "const" in held else held.get("enum", "any"))
        kinds = " or ".join(kind) if isinstance(kind, list) else str(kind)
        yield f"{above}{name}", kinds, str(held.get("title", ""))
        if isinstance(held.get("properties"), dict):
            yield from _properties(held, definitions, f"{above}{name}.")
