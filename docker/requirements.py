"""Write what the package requires with some extras, one requirement a line, without torch.

python requirements.py pyproject.toml EXTRA...

torch is installed by itself, because which build of it is wanted differs between images.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

SEPARATE = "torch"


def requirements(project: Mapping[str, Any], extras: Sequence[str]) -> list[str]:
    """List the requirements of a `[project]` table with some of its extras, sorted, each once.

    Raises:
        KeyError: there is no such extra.
    """
    found = [*project["dependencies"]]
    for extra in extras:
        found += _of_extra(project, extra)
    return sorted({line for line in found if _name(line) != SEPARATE})


def _of_extra(project: Mapping[str, Any], extra: str) -> Iterator[str]:
    for line in project["optional-dependencies"][extra]:
        if own := re.fullmatch(rf"{project['name']}\[(.+)\]", line):
            for inner in own[1].split(","):
                yield from _of_extra(project, inner.strip())
        else:
            yield line


def _name(line: str) -> str:
    return re.split(r"[^A-Za-z0-9._-]", line, maxsplit=1)[0].lower()


if __name__ == "__main__":
    table = tomllib.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))["project"]
    sys.stdout.writelines(f"{line}\n" for line in requirements(table, sys.argv[2:]))
