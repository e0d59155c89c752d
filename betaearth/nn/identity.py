"""Which variant weights are: what their keys and the configuration beside them say."""

from __future__ import annotations

from dataclasses import replace

from betaearth.errors import ConfigError
from betaearth.nn.dinov3_head import check_backbone_name, head_config, head_tensors
from betaearth.nn.variants import ALL_INPUTS, CUSTOM, S2_L1C, S2_L2A, Family, Variant, named_variant
from betaearth.nn.weight_files import WeightFile, WeightsConfig
from betaearth.nn.weights import TIME_PREFIX, LoadedWeights, build_network, family_of, load_state_dict


def identify(weights: LoadedWeights) -> Variant:
    """Tell which variant the weights are; those that nothing names become `CUSTOM`.

    Raises:
        ConfigError: they are of no known network, or not of the network that their name stands for.
    """
    family = family_of(weights)
    declared = weights.file.declared
    doy = any(key.startswith(TIME_PREFIX) for key in weights.tensors)
    known = named_variant(weights.file.name) if weights.file.name else None
    tensors = head_tensors(weights.tensors) if family is Family.DINOV3 else weights.tensors
    parameters = sum(t.numel() for key, t in tensors.items() if not key.endswith(".freqs"))
    if known is None:
        return Variant(
            name=weights.file.name or CUSTOM,
            repo=None,
            family=family,
            inputs=_inputs(declared) or ((S2_L1C, S2_L2A) if family is Family.RGB_ONLY else ALL_INPUTS),
            any_subset=declared.any_subset if declared else family is Family.RGB_ONLY,
            doy=doy,
            parameters=parameters,
            tensors=len(tensors),
            licence=declared.licence if declared else "unknown",
            trained=declared.trained if declared else True,
            trained_on_synthetic=declared.learned_synthetic if declared else False,
        )
    if (known.family, known.doy) != (family, doy):
        raise ConfigError(
            f"{weights.file.path} is named {known.name} ({known.family}, {_film_words(known.doy)}), but its "
            f"keys are those of {family}, {_film_words(doy)}"
        )
    if known.backbone:
        check_backbone_name(known.backbone, head_config(tensors, weights.file.path).dim, weights.file.path)
    if declared is None:
        return known
    return replace(
        known,
        parameters=parameters,  # which differ where the configuration has sizes of its own
        tensors=len(tensors),
        trained=declared.trained,
        trained_on_synthetic=declared.learned_synthetic,
        any_subset=declared.any_subset,
        licence=declared.licence,
    )


def _inputs(declared: WeightsConfig | None) -> tuple[str, ...]:
    """List the inputs that weights learned from, in the order of the network; empty where nobody says."""
    return tuple(name for name in ALL_INPUTS if declared and declared.inputs and name in declared.inputs)


def identify_as(weights: LoadedWeights, asked: Variant | None) -> Variant:
    """Tell which variant the weights are, and that it is the one that was asked for by its name.

    Raises:
        ConfigError: see `identify`; or it is another one.
    """
    variant = identify(weights)
    if asked and asked.name != variant.name:
        raise ConfigError(f"{weights.file.path} declares that it is {variant.name}, not {asked.name}")
    return variant


def check_network(file: WeightFile, asked: Variant | None) -> None:
    """Check that a file of weights loads, as the variant that was asked for.

    Raises:
        ConfigError: it does not, or it is another one.
    """
    weights = load_state_dict(file)
    identify_as(weights, asked)
    build_network(weights)


def _film_words(doy: bool) -> str:
    return "with a date" if doy else "without a date"
