"""Words in pictures."""

from __future__ import annotations

import pytest
from PIL import features

from betaearth.errors import ConfigError
from betaearth.products.lettering import drawable, fitting_lines, typeface

TEXT = "Contains modified Copernicus Sentinel data 2024, and one wordthatisfartoolongtofitintoanylineofthiswidth."


@pytest.mark.parametrize("width", [30, 120, 5000])
def test_lines_fit_and_nothing_is_left_out(width: int) -> None:
    lines = fitting_lines(TEXT, 16, width)
    assert all(typeface(16).getlength(line) <= width for line in lines)
    assert "".join(lines).replace(" ", "") == TEXT.replace(" ", "")
    assert (len(lines) == 1) == (width == 5000)


def test_only_letters_that_can_be_drawn() -> None:
    assert drawable("São Tomé: 3 \N{MULTIPLICATION SIGN} 4°") == "Sao Tome: 3 x 4°"
    assert drawable("Зелёный\x1b[2J\nline") == "???????\\x1b[2J line"


def test_a_pillow_without_letters_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "check", lambda _: False)
    with pytest.raises(ConfigError, match="FreeType"):
        typeface.__wrapped__(16)
