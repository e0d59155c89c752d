from __future__ import annotations

import itertools
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from betaearth.errors import ConfigError
from betaearth.stac import extension

ROOT = Path(__file__).resolve().parents[2]


def test_the_schema_is_a_schema_of_its_own_address() -> None:
    schema = extension.schema()
    assert schema["$id"] == extension.URI
    jsonschema.validators.validator_for(schema).check_schema(schema)


def test_a_wheel_carries_the_folder_where_the_package_looks_first() -> None:
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
    included = build["targets"]["wheel"]["force-include"]["catalog/extension"]
    installed, checkout = extension.schema_folders()
    assert Path(str(installed)) == ROOT / included
    assert checkout == ROOT / "catalog" / "extension"


def test_an_installation_without_the_schema_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(extension, "schema_folders", lambda: (tmp_path,))
    with pytest.raises(ConfigError, match="no schema of https://betaearth"):
        extension.schema()


def test_the_page_explains_every_field_of_ours() -> None:
    page = (ROOT / "catalog" / "extension" / "README.md").read_text()
    definitions = extension.schema()["definitions"]
    fields = [name for part in ("model", "provenance", "observations") for name in definitions[part]["properties"]]
    fields += [name for name in definitions["item_properties"]["properties"] if name.startswith(extension.PREFIX)]
    summaries: dict[str, Any] = definitions["collection"]["properties"]["summaries"]["properties"]
    fields += [name for name in summaries if name.startswith(extension.PREFIX)]
    fields += [name for name in definitions["catalog"]["properties"] if name.startswith(extension.PREFIX)]
    fields += ["betaearth:manifests", "betaearth:items", "betaearth:tile_years"]
    missing = [name for name in fields if f"`{name}" not in page and name not in page]
    assert not missing
    assert extension.URI in page
    assert "not yet served" in page


def test_every_row_of_the_page_is_of_a_table() -> None:
    lines = (ROOT / "catalog" / "extension" / "README.md").read_text().splitlines()
    tables = [[*group] for is_row, group in itertools.groupby(lines, key=lambda line: line.startswith("|")) if is_row]
    assert len(tables) > 5
    assert all(table[1].startswith("|---") for table in tables)
