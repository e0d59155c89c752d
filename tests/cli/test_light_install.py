"""What a plain `pip install betaearth` can do, and what it says of the rest."""

from __future__ import annotations

import subprocess
import sys
import textwrap

from betaearth.cli.exit_codes import EXTRA_OF

LACKING = f"""
import sys
for module in {sorted(EXTRA_OF)!r}:
    sys.modules[module] = None  # importing it now fails as if it were not installed
"""


def without_extras(code: str) -> subprocess.CompletedProcess[str]:
    program = LACKING + textwrap.dedent(code)
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)


def test_predict_works() -> None:
    done = without_extras(
        """
        import numpy as np
        from betaearth import BetaEarth

        model = BetaEarth.from_pretrained("demo", device="cpu")
        vectors = model.predict(s2_l2a=np.full((9, 40, 30), 1500, "uint16"), doy=100)
        assert vectors.shape == (40, 30, 64)
        assert np.allclose(np.linalg.norm(vectors, axis=-1), 1, atol=1e-5)
        """
    )
    assert done.returncode == 0, done.stderr


def test_models_are_listed() -> None:
    done = without_extras(
        "from betaearth.cli.main import app, guarded\nsys.exit(guarded(lambda: app(['models', 'list'])))"
    )
    assert done.returncode == 0, done.stderr
    assert "robust" in done.stdout


def test_what_is_lacking_is_said_with_its_extra() -> None:
    words = ["generate", "--bbox", "0", "0", "1", "1", "--years", "2020"]
    done = without_extras(f"from betaearth.cli.main import app, guarded\nsys.exit(guarded(lambda: app({words!r})))")
    assert done.returncode == 78, done.stderr
    assert "betaearth[generate]" in done.stderr
    assert "Traceback" not in done.stderr
