"""What a choice rests on: refused where it cannot be met, and said where it would surprise."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from betaearth.errors import ConfigError
from betaearth.nn.variants import Variant
from betaearth.scenes.model import SCL, Granule, Sensor
from betaearth.scenes.observations import ObservationOptions, Programme, Together
from betaearth.scenes.profile import SourceProfile
from betaearth.scenes.selection import is_whole


def check_company(
    options: ObservationOptions, together: Together, variant: Variant, sensors: frozenset[Sensor]
) -> None:
    """Check that there is something to join or to fill with.

    Raises:
        ConfigError: the source, or the variant, has nothing of the kind.
    """
    if options.gap_fill and Sensor.S1 not in sensors:
        raise ConfigError(f"gap_fill needs Sentinel-1, which the source lacks or {variant.name} does not take")
    if together is Together.JOINT and not sensors & {Sensor.S1, Sensor.S2_L1C}:
        raise ConfigError(
            f"together=joint joins nothing: neither Sentinel-1 nor Level-1C is in the source and taken by "
            f"{variant.name}; separate observations are what there can be"
        )


def check_assets(candidates: Iterable[Granule], profile: SourceProfile) -> None:
    """Check that the profile's asset keys are those of the granules; a misspelt one would do without a word.

    Sentinel-1 is left out: towards the poles it may have HH and HV alone, which is no mistake.

    Raises:
        ConfigError: not one of a collection's granules has an asset that the profile names.
    """
    for sensor, keys in profile.assets.items():
        found = [granule for granule in candidates if granule.sensor is sensor and sensor is not Sensor.S1]
        absent = [band for band in keys if found and not any(band in granule.assets for granule in found)]
        if absent:
            named = ", ".join(f"{keys[band]!r} for {band}" for band in absent)
            raise ConfigError(
                f"none of the {len(found)} granules of {found[0].collection} has the asset {named}: give a profile "
                f"(.toml) whose [assets.{sensor}] names theirs, and no {SCL} where there is no scene classification"
            )


def notices_of(
    candidates: Sequence[Granule],
    composed: Programme,
    missing: Sequence[str],
    together: Together,
    profile: SourceProfile,
) -> Iterator[str]:
    """Say what a user would otherwise find in the manifest alone."""
    if missing:
        yield f"the source has nothing of: {', '.join(missing)}"
    radar = [granule for granule in candidates if granule.sensor is Sensor.S1]
    if radar and not any(is_whole(granule) for granule in radar):
        yield f"none of the {len(radar)} Sentinel-1 granules has both VV and VH: there is no radar in the product"
    if SCL not in profile.assets.get(Sensor.S2_L2A, {SCL: SCL}):
        yield "the source has no scene classification: Sentinel-2 scenes are used with their clouds"
    if together is Together.JOINT and composed.observations:
        joined = sum(len(observation.scenes) > 1 for observation in composed.observations)
        yield f"{joined} of {len(composed.observations)} Sentinel-2 dates found company to be joined with"
