"""Validation of STAC documents without network: prebuilt validators over one registry of schemas.

Core 1.1.0 comes with pystac, our extension with this package; the schemas of other extensions come from a
folder whose `index.json` maps their addresses to files. What is declared but not at hand is reported, never
passed over.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema_rs
from pystac.validation.local_validator import get_local_schema_cache

from betaearth.errors import ConfigError, DataError
from betaearth.stac import extension
from betaearth.stac.document import STAC_VERSION, Document

_CORE = {"Feature": "item", "Collection": "collection", "Catalog": "catalog"}
_ABSENT = "betaearth-absent"
"""Keyword of what stands in for a schema that is not at hand: its address."""
_DRAFT_7 = "http://json-schema.org/draft-07/schema#"
"""What STAC is written in, and what a schema is taken for that does not say."""
_SHOWN = 20
"""Violations that a message lists; a document with more is wrong all over."""


class Validator:
    """Checks documents against core STAC and every extension that they declare."""

    def __init__(self, schema_folder: Path | None = None) -> None:
        """Read the schemas.

        Args:
            schema_folder: schemas of other extensions and `index.json`; None checks core and ours alone.

        Raises:
            ConfigError: the folder is not such a folder.
        """
        self._schemas: dict[str, Any] = {**get_local_schema_cache(), **read_schemas(schema_folder)}
        self._schemas[extension.URI] = extension.schema()
        self._validators: dict[str, jsonschema_rs.Validator] = {}
        self._reached: list[str] = []

    def check(self, document: Mapping[str, Any], *, where: str) -> tuple[str, ...]:
        """Validate a document of parsed JSON.

        Args:
            document: an Item, Collection or Catalog.
            where: its key or path, for the message.

        Returns:
            The declared extensions whose schema is not at hand, so that they were not checked.

        Raises:
            DataError: lists every violation with its JSON path.
        """
        violations = self.violations(document)
        if violations:
            shown = "\n".join(f"- {violation}" for violation in violations[:_SHOWN])
            more = f"\n- and {len(violations) - _SHOWN} more" if len(violations) > _SHOWN else ""
            raise DataError(f"{where} is not valid STAC {STAC_VERSION}:\n{shown}{more}")
        return self.unchecked(document)

    def violations(self, document: Mapping[str, Any]) -> list[str]:
        """List what is wrong: JSON path, what it should be, and by which schema."""
        kind = _CORE.get(str(document.get("type")))
        if kind is None:
            return [f"$.type: {document.get('type')!r} is not one of {sorted(_CORE)}"]
        core = f"https://schemas.stacspec.org/v{STAC_VERSION}/{kind}-spec/json-schema/{kind}.json"
        at_hand = [uri for uri in declared(document) if uri in self._schemas]
        return [violation for uri in (core, *at_hand) for violation in self._violations_of(uri, document)]

    def unchecked(self, document: Mapping[str, Any]) -> tuple[str, ...]:
        """List the declared extensions whose schema is not at hand, sorted."""
        return tuple(sorted(uri for uri in declared(document) if uri not in self._schemas))

    def _violations_of(self, uri: str, document: Mapping[str, Any]) -> Iterator[str]:
        validator, reached = self._validator(uri), len(self._reached)
        try:
            errors = list(validator.iter_errors(document))
        except UnicodeEncodeError as refusal:
            yield f"$: the name {_shortened(ascii(refusal.object))} is no Unicode text ({uri})"
            return
        if len(self._reached) > reached:
            raise ConfigError(f"the schema {uri} refers to {self._reached[-1]}, which is not at hand; add it")
        for error in errors:
            yield f"{_json_path(error.instance_path)}: {_shortened(error.message)} ({uri})"

    def _validator(self, uri: str) -> jsonschema_rs.Validator:
        if uri not in self._validators:
            try:
                self._validators[uri] = jsonschema_rs.validator_for(
                    {"$schema": _DRAFT_7, **self._schemas[uri]},
                    # By the drafts of STAC's schemas a format is an annotation, unless one asks for more.
                    validate_formats=False,
                    retriever=self._retrieve,
                    keywords={_ABSENT: _absent_keyword(self._reached)},
                )
            except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError) as error:
                raise ConfigError(f"the schema {uri} cannot be used: {_shortened(error.message)}") from error
        return self._validators[uri]

    def _retrieve(self, uri: str) -> Document:
        """Give a schema that another refers to: never from the network.

        What is not at hand gets a stand-in, since the part that refers to it may never be asked.
        """
        schema: Document = self._schemas.get(uri, {_ABSENT: uri})
        return schema


def _absent_keyword(reached: list[str]) -> type[jsonschema_rs.KeywordValidator]:
    """Make the keyword of a stand-in: it notes that it was asked, and by that its answer says nothing."""

    class Absent:
        def __init__(self, _parent: Document, value: str, _path: list[str | int]) -> None:
            self.uri = value

        def validate(self, _instance: object) -> None:
            reached.append(self.uri)

    return Absent


def declared(document: Mapping[str, Any]) -> list[str]:
    """List the extensions that a document declares; what is not a list of texts is core's to complain of."""
    extensions = document.get("stac_extensions", [])
    return [uri for uri in extensions if isinstance(uri, str)] if isinstance(extensions, list) else []


def read_schemas(folder: Path | None) -> dict[str, Document]:
    """Read a folder of extension schemas: address to schema.

    Raises:
        ConfigError: it has no `index.json`, or that names a file which is not there or no schema.
    """
    if folder is None:
        return {}
    index = _read_json(folder / "index.json")
    return {uri: _read_json(folder / name) for uri, name in index.items()}


def _read_json(path: Path) -> Document:
    try:
        document = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise ConfigError(f"{path} is missing; a schema folder has index.json and the files that it names") from error
    except ValueError as error:
        raise ConfigError(f"{path} is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise ConfigError(f"{path} holds {type(document).__name__}; it must be a JSON object")
    return document


def _json_path(path: Iterable[str | int]) -> str:
    """Spell a path as `$.assets.embeddings['file:size']`, `$.links[2]`."""
    steps = (f".{step}" if re.fullmatch(r"[A-Za-z_]\w*", str(step)) else f"[{step!r}]" for step in path)
    return "$" + "".join(steps)


def _shortened(message: str) -> str:
    """Cut the middle out of a message that quotes half a document."""
    return message if len(message) <= 200 else f"{message[:120]} ... {message[-70:]}"
