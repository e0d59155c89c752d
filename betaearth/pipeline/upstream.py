"""What a source has now, against what a product rests on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from betaearth.pipeline.choice import Choice
from betaearth.pipeline.counting import counted
from betaearth.products.manifest import Fate, GranuleRecord, Manifest
from betaearth.scenes.model import Granule

Version = tuple[str, str | None, str | None]
"""Id, processing baseline and time of generation: what the sources digest covers."""


@dataclass(frozen=True)
class SourceNews:
    """Granules that came and went, by id; one that was issued anew did both."""

    added: tuple[str, ...] = ()
    """Would be read now; the product's computation did not try them."""
    removed: tuple[str, ...] = ()
    """The product rests on them; they would not be read any more."""

    def __bool__(self) -> bool:
        """Whether there is any."""
        return bool(self.added or self.removed)

    def __str__(self) -> str:
        """Count them: `+3 granules, -1 granule`."""
        counts = (("+", len(self.added)), ("-", len(self.removed)))
        return ", ".join(f"{sign}{counted(count, 'granule')}" for sign, count in counts if count)


def source_news(manifest: Manifest, choice: Choice) -> SourceNews:
    """Compare what would be read now with what a product's computation read.

    What could not be read then is no news, since it would be computed without end: only a new issue of it is. Neither
    are the scenes gone that came in the place of one that is still chosen.
    """
    wanted = {version_of(granule): granule.id for granule in granules_to_read(choice)}
    tried = {version_of(record) for record in manifest.granules if was_tried(record)}
    standing_in = set(stand_ins(manifest, {scene.id for scene in choice.scenes}))
    used = {version_of(record): record.id for record in manifest.granules if record.fate is Fate.USED}
    return SourceNews(
        added=tuple(sorted(name for version, name in wanted.items() if version not in tried)),
        removed=tuple(
            sorted(name for version, name in used.items() if version not in wanted and name not in standing_in)
        ),
    )


def unchanged(manifests: Iterable[Manifest], choice: Choice) -> Manifest | None:
    """Return the newest manifest to which the source has nothing new; None where there is none.

    Args:
        manifests: of one request, the newest last.
        choice: what would be read now.
    """
    return next((manifest for manifest in reversed([*manifests]) if not source_news(manifest, choice)), None)


def granules_to_read(choice: Choice) -> Iterator[Granule]:
    """Yield the granules of every scene that is to be read, the elevation's last."""
    scenes = {scene.id: scene for scene in (*choice.scenes, *choice.programme.fillers.values())}
    for scene in scenes.values():
        yield from scene.granules
    if scenes and choice.dem:
        yield from choice.dem.granules


def was_tried(record: GranuleRecord) -> bool:
    """Whether a granule was part of a scene that was to be read, or could not even be looked at."""
    return record.scene is not None or record.fate is not Fate.REJECTED


def stand_ins(manifest: Manifest, chosen: set[str]) -> Iterator[str]:
    """Yield the granules of what was observed in the place of a scene that is still chosen, companions included."""
    granules: Mapping[str, list[str]] = {scene.id: scene.granules for scene in manifest.scenes}
    leading = {scene.id for scene in manifest.scenes if scene.in_place_of in chosen}
    for observation in manifest.observations:
        if leading.intersection(observation.scenes[:1]):
            for scene in (*observation.scenes, *filter(None, [observation.filled_by])):
                yield from granules.get(scene, [])


def version_of(granule: Granule | GranuleRecord) -> Version:
    """Return what tells two issues of a granule apart."""
    return (granule.id, granule.baseline, granule.generated)
