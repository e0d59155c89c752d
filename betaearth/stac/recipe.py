"""The command that makes a product again, as its Item says it."""

from __future__ import annotations

import json
import re
import shlex

from pydantic import JsonValue

from betaearth.products.manifest import Manifest
from betaearth.scenes.profile import PLANETARY_COMPUTER_SPELLING, built_in, built_in_names


def recipe(manifest: Manifest) -> str:
    """Spell the command that makes the product again, for a shell: every option as its setting."""
    request = manifest.request
    settings = [
        f"BETAEARTH_{group.upper()}__{name.upper()}={shlex.quote(_setting(value))}"
        for group, options in sorted(request.options.items())
        if isinstance(options, dict)
        for name, value in sorted(options.items())
        if value is not None  # what a setting is where nobody sets it
    ]
    # All digits of it, since another spacing is another grid; but 10 for 10.0.
    spacing = repr((request.grid.spacing_m or 0) / 1000).removesuffix(".0")
    words = ["betaearth", "tile", request.cell, str(request.year), "--spacing-km", spacing]
    words += ["--model", request.variant.name, "--source", _source_word(request.source), "--store", "FOLDER"]
    return " ".join([*settings, shlex.join(words)])


def _setting(value: JsonValue) -> str:
    """Spell a value as an environment variable holds it: text as it is, the rest as JSON without spaces."""
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


def _source_word(identity: str) -> str:
    """Name a source as `--source` takes it.

    A file of Items has no address that holds elsewhere, and the rules of a profile of one's own are in no address.
    """
    if (rules := re.match(r"stac-api:([0-9a-f]{12}):", identity)) and rules[1] not in _known_rules():
        return "PROFILE.toml"
    if seed := re.fullmatch(r"synthetic:v[^:]+:seed=(\d+)", identity):
        return f"synthetic:{seed[1]}"
    api = re.search(r"https?://\S+", identity)
    return api[0] if api else "ITEMS.json"


def _known_rules() -> set[str]:
    profiles = (*map(built_in, built_in_names()), PLANETARY_COMPUTER_SPELLING)
    return {profile.digest()[:12] for profile in profiles}
