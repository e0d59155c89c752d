from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from betaearth.errors import DataError
from betaearth.products.manifest import Manifest
from betaearth.products.quantise import NORM_TOLERANCE
from betaearth.stac.gate import PublishOptions, check_product
from betaearth.storage.folder import FolderStore

Add = Callable[..., str]


def stored(store: FolderStore, key: str) -> Manifest:
    return Manifest.from_bytes(store.read(key), where=key)


def test_a_whole_product_passes(store: FolderStore, add: Add) -> None:
    check_product(store, stored(store, add()), PublishOptions())


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda path: path.unlink(), "quality.tif is missing: there is no"),
        (lambda path: path.write_bytes(b"short"), "quality.tif has 5 bytes, not the"),
        (lambda path: path.write_bytes(b"!" + path.read_bytes()[1:]), "quality.tif has the SHA-256"),
    ],
)
def test_a_file_that_is_another_one_does_not(
    store: FolderStore, add: Add, spoil: Callable[[Path], object], reason: str
) -> None:
    manifest = stored(store, add())
    spoil(Path(store.href(manifest.files["quality.tif"].key)))
    with pytest.raises(DataError, match=reason):
        check_product(store, manifest, PublishOptions())


@pytest.mark.parametrize(
    ("figures", "options", "reason"),
    [
        ({"valid_fraction": 0.2}, {"min_valid_fraction": 0.25}, "valid_fraction is 0.2, below the 0.25"),
        ({"observations_mean": 2.5}, {"min_observations": 3}, "observations_mean is 2.5, below the 3"),
        ({"norm_error_max": 0.03}, {}, "deviate from unit length by 0.03"),
        ({"norm_error_max": float("nan")}, {}, "deviate from unit length by nan"),
    ],
)
def test_figures_below_a_threshold_do_not(
    store: FolderStore, add: Add, figures: dict[str, float], options: dict[str, Any], reason: str
) -> None:
    manifest = stored(store, add())
    assert manifest.statistics
    poor = manifest.model_copy(update={"statistics": manifest.statistics.model_copy(update=figures)})
    check_product(store, manifest, PublishOptions(**options))
    with pytest.raises(DataError, match=reason):
        check_product(store, poor, PublishOptions(**options))


def test_float32_must_be_closer_to_unit_length_than_int8(store: FolderStore, add: Add) -> None:
    manifest = stored(store, add(dtype="float32"))
    assert manifest.statistics
    check_product(store, manifest, PublishOptions())
    coarse = manifest.model_copy(update={"statistics": manifest.statistics.model_copy(update={"norm_error_max": 1e-3})})
    assert NORM_TOLERANCE["float32"] < 1e-3 <= NORM_TOLERANCE["int8"]
    with pytest.raises(DataError, match="float32 explains up to 1e-05"):
        check_product(store, coarse, PublishOptions())


@pytest.mark.parametrize("wrong", [{"min_valid_fraction": 1.5}, {"min_observations": -1}, {"workers": 0}, {"min": 1}])
def test_impossible_thresholds_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        PublishOptions(**wrong)
