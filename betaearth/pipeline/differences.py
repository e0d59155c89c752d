"""What is not the same of two products and of their makers, in sentences."""

from __future__ import annotations

from typing import Any

from betaearth.pipeline.reproduction import Maker
from betaearth.products.manifest import Fate, Manifest, Request


def request_differences(then: Request, now: Request) -> list[str]:
    """List the fields in which two requests differ: `options.selection.max_cloud (20.0 became 10.0)`."""
    before, after = (_flat(request.model_dump(mode="json")) for request in (then, now))
    return [
        f"{name} ({before.get(name)} became {after.get(name)})"
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    ]


def lost_granules(then: Manifest, now: Manifest) -> list[str]:
    """List granules that were used, and cannot be read now."""
    fates = {granule.id: granule for granule in now.granules}
    return [
        f"granule {record.id} was used and cannot be read now: {found.reason}"
        for record in then.granules
        if record.fate is Fate.USED and (found := fates.get(record.id)) and found.fate is Fate.UNREADABLE
    ]


def maker_differences(there: Maker, here: Maker, *, computed: bool) -> list[str]:
    """List what computed the two products, as far as it differs."""
    pairs = [(there.software, here.software), *([(there.computed, here.computed)] if computed else [])]
    return [
        f"{name} is {now.get(name, 'not recorded')} here, and was {then.get(name, 'not recorded')}"
        for then, now in pairs
        for name in sorted(then.keys() | now.keys())
        if then.get(name) != now.get(name)
    ]


def selection_differences(then: Manifest, now: Manifest) -> list[str]:
    """List granules that only one of two products rests on."""
    before, after = ({record.id for record in made.granules if record.fate is Fate.USED} for made in (then, now))
    return [
        *(f"granule {name} was used, and is not now" for name in sorted(before - after)),
        *(f"granule {name} was not used, and is now" for name in sorted(after - before)),
    ]


def _flat(value: Any, path: str = "") -> dict[str, Any]:  # noqa: ANN401  # any JSON
    """Flatten nested mappings: `options.selection.max_cloud` to its value."""
    if not isinstance(value, dict):
        return {path: value}
    return {
        name: leaf
        for key, inner in value.items()
        for name, leaf in _flat(inner, f"{path}.{key}" if path else key).items()
    }
