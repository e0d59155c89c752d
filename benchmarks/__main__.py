"""Run the benchmarks that are named, or all, one process each so that none inherits another's memory."""

from __future__ import annotations

import subprocess
import sys

BENCHMARKS = ("memory", "cells", "planning")

for name in sys.argv[1:] or BENCHMARKS:
    if name not in BENCHMARKS:
        sys.exit(f"no benchmark {name!r}; there are {', '.join(BENCHMARKS)}")
    subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=True)
