"""The table of values in the chart's README: a row a value, in the words of the comment above it in `values.yaml`.

`python -m tests.charts.values_table` writes it anew.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import yaml

from tests.charts.rendered import CHART

BEGIN, END = "<!-- values: begin -->", "<!-- values: end -->"


def table_of(text: str) -> str:
    """The Markdown table of a values file.

    Raises:
        ValueError: a value has no comment.
    """
    root = yaml.compose(text, yaml.SafeLoader)
    assert isinstance(root, yaml.MappingNode)
    rows = [f"| `{name}` | `{default}` | {words} |" for name, default, words in _rows(root, text.splitlines(), "")]
    return "\n".join(["| value | default | meaning |", "|---|---|---|", *rows])


def in_readme(readme: str, table: str) -> str:
    """The README with this table between its marks."""
    before, rest = readme.split(BEGIN)
    return f"{before}{BEGIN}\n{table}\n{END}{rest.split(END)[1]}"


def _rows(node: yaml.MappingNode, lines: list[str], prefix: str) -> Iterator[tuple[str, str, str]]:
    for key, value in node.value:
        name, words = f"{prefix}{key.value}", _comment_above(lines, key.start_mark.line)
        if isinstance(value, yaml.MappingNode) and _is_described(value, lines):
            if words:
                yield f"{name}.*", "", words
            yield from _rows(value, lines, f"{name}.")
        elif words:
            yield name, _default(value), words
        else:
            raise ValueError(f"values.yaml:{key.start_mark.line + 1}: {name} has no comment")


def _is_described(node: yaml.MappingNode, lines: list[str]) -> bool:
    return any(_comment_above(lines, key.start_mark.line) for key, _ in node.value if not node.flow_style)


def _default(node: yaml.Node) -> str:
    loaded = yaml.safe_load(yaml.serialize(node, Dumper=yaml.SafeDumper))
    return json.dumps(loaded).replace("|", "\\|")


def _comment_above(lines: list[str], line: int) -> str:
    words: list[str] = []
    while line > 0 and (found := re.fullmatch(r"\s*# ?(.*)", lines[line - 1])):
        words.insert(0, found[1])
        line -= 1
    return " ".join(words).replace("|", "\\|")


if __name__ == "__main__":
    readme = CHART / "README.md"
    readme.write_text(in_readme(readme.read_text(), table_of((CHART / "values.yaml").read_text())))
