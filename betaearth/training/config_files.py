"""Configurations by name or path, with options changed from the command line."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from betaearth.errors import ConfigError
from betaearth.nn.weight_files import NetworkSizes
from betaearth.training.config import CurriculumConfig, ModelConfig, TrainingConfig, ValidationConfig

SUFFIXES = (".yaml", ".yml")
UNION = re.compile(r"[A-Z\[]")


def shipped_configs() -> tuple[str, ...]:
    """Name the configurations that come with the package."""
    folder = files("betaearth.training") / "configs"
    return tuple(sorted(file.name.removesuffix(".yaml") for file in folder.iterdir() if file.name.endswith(".yaml")))


def load_config(name_or_path: str | Path, changes: Sequence[str] = ()) -> TrainingConfig:
    """Read a configuration.

    Args:
        name_or_path: one of `shipped_configs`, or a YAML file.
        changes: `key=value`; the key is dotted, `models.0.lr=1e-3`, and the value is YAML.

    Raises:
        ConfigError: there is none, it is not YAML, or an option is unknown or out of range.
    """
    text, where = _text(name_or_path)
    content = _yaml(text, where)
    if not isinstance(content, dict):
        raise ConfigError(f"{where} is not a mapping of options")
    for change in changes:
        _change(content, change)
    return checked(content, where)


def checked(content: Mapping[str, Any], where: str) -> TrainingConfig:
    """Validate a configuration's content.

    Raises:
        ConfigError: an option is unknown (with the nearest name) or out of range.
    """
    try:
        return TrainingConfig.model_validate(content)
    except ValidationError as error:
        raise ConfigError(f"{where}: {_first(error)}") from error


def flat(content: object, lead: str = "") -> dict[str, object]:
    """Spell plain values by their dotted keys, as `--set` takes them."""
    if isinstance(content, Mapping):
        items = list(content.items())
    elif isinstance(content, list | tuple):
        items = list(enumerate(content))
    else:
        return {lead: content}
    return {
        key: value for name, part in items for key, value in flat(part, f"{lead}.{name}" if lead else f"{name}").items()
    }


def _text(name_or_path: str | Path) -> tuple[str, str]:
    path = Path(name_or_path)
    shipped = shipped_configs()
    if str(name_or_path) in shipped:
        file = files("betaearth.training") / "configs" / f"{name_or_path}.yaml"
        return file.read_text(encoding="utf-8"), f"configuration {name_or_path}"
    if path.is_file():
        try:
            return path.read_text(encoding="utf-8"), str(path)
        except (UnicodeDecodeError, PermissionError) as error:
            raise ConfigError(f"{path} cannot be read as text: {error}") from error
    near = difflib.get_close_matches(str(name_or_path), shipped, 1)
    meant = f"; did you mean {near[0]}?" if near and path.suffix not in SUFFIXES else ""
    raise ConfigError(f"{str(name_or_path)!r} is neither a file nor one of {', '.join(shipped)}{meant}")


def _yaml(text: str, where: str) -> Any:  # noqa: ANN401  whatever YAML says
    try:
        import yaml
    except ModuleNotFoundError as error:
        raise ConfigError("training needs PyYAML: pip install 'betaearth[train]'") from error
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{where} is not YAML: {' '.join(str(error).split())}") from error


def _change(content: dict[str, Any], change: str) -> None:
    """Set one option in the content."""
    key, equals, value = change.partition("=")
    if not equals or not key:
        raise ConfigError(f"--set {change!r} is not key=value, such as models.0.lr=1e-3")
    *parents, last = key.split(".")
    place: Any = content
    for parent in parents:
        place = _below(place, parent, key)
    if isinstance(place, list):
        place[_index(place, last, key)] = _yaml(value, f"--set {change}")
    elif isinstance(place, dict):
        place[last] = _yaml(value, f"--set {change}")
    else:
        raise ConfigError(f"--set {key}: there is nothing below {'.'.join(parents)}")


def _below(place: Any, part: str, key: str) -> Any:  # noqa: ANN401  whatever YAML says
    if isinstance(place, list):
        return place[_index(place, part, key)]
    if isinstance(place, dict):
        if place.get(part) is None:
            place[part] = {}
        return place[part]
    raise ConfigError(f"--set {key}: there is nothing below {part}")


def _index(place: list[Any], part: str, key: str) -> int:
    if not part.isdecimal() or int(part) >= len(place):
        raise ConfigError(f"--set {key}: {part!r} is none of the {len(place)} entries, which count from 0")
    return int(part)


def _first(error: ValidationError) -> str:
    """Spell what is wrong first."""
    errors = error.errors(include_url=False)
    unknown = [found for found in errors if found["type"] == "extra_forbidden"]
    # Sizes that are spelt out are no name of sizes, which a union complains of first.
    fitting = [found for found in errors if not (found["type"] == "literal_error" and isinstance(found["input"], dict))]
    first = (unknown or fitting or errors)[0]
    # A union names its members, in capitals or brackets, between the keys.
    place = ".".join(str(part) for part in first["loc"] if not (isinstance(part, str) and UNION.search(part)))
    if first["type"] == "extra_forbidden":
        known = [
            *(name for options in (TrainingConfig, ModelConfig, CurriculumConfig) for name in options.model_fields),
            *(name for options in (ValidationConfig, NetworkSizes) for name in options.model_fields),
        ]
        near = difflib.get_close_matches(str(first["loc"][-1]), known, 1)
        return f"{place} is not an option{f'; did you mean {near[0]}?' if near else ''}"
    said = first["msg"].removeprefix("Value error, ")
    return f"{place}: {said}" if place else said
