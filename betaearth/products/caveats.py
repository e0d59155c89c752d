"""What keeps a product from telling of the real Earth, in sentences that nobody may overlook."""

from __future__ import annotations

from betaearth.products.manifest import VariantRecord


def caveats(variant: VariantRecord, *, synthetic: bool) -> list[str]:
    """Say what keeps a product, or a figure of it, from telling of the real Earth.

    Args:
        variant: that made it.
        synthetic: whether its imagery is made up.
    """
    said = {
        "The imagery is made up: this is no picture of the real Earth.": synthetic,
        "The network learned on a synthetic Earth: its numbers mean nothing for the real one.": (
            variant.trained_on_synthetic
        ),
        "The network is untrained: its numbers carry no learned meaning.": not variant.trained,
    }
    return [sentence for sentence, holds in said.items() if holds]
