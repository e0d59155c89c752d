"""How the site is built: `make docs`. It needs no network, and links to no other site's index."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

from betaearth import __version__

project = "betaearth"
author = "the betaearth authors"
project_copyright = "2026, the betaearth authors"
release = version = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "repository_pages",
    "generated_parts",
]
exclude_patterns = [
    "_build",
    "_ext",
    "training/synthetic/findings.md",  # stands in the page above it
]
suppress_warnings = ["myst.header"]  # the tables of cluster/scale.md stand as their program prints them

myst_heading_anchors = 4
smartquotes = False  # `--option` is two hyphens, in docstrings too
myst_enable_extensions = ["colon_fence"]

default_role = "code"  # docstrings write `name`, as Markdown does
autodoc_typehints_format = "short"
autodoc_member_order = "bysource"
nitpicky = True
nitpick_ignore_regex = [
    # Types of other projects, whose index would have to be fetched.
    (r"py:.*", r"(?!betaearth\b).*"),
]
nitpick_ignore = [
    # Ours that a signature names and that no page describes: what they hold is said in the docstring beside.
    ("py:class", "betaearth.inference.precision.Precision"),
    ("py:class", "betaearth.nn.backbones.BackboneSource"),
    ("py:class", "betaearth.nn.network.EmbeddingNetwork"),
    ("py:class", "betaearth.nn.variants.Variant"),
]

# `make docs-links`, which alone asks other hosts.
linkcheck_ignore = [r"https://betaearth\.github\.io/catalog/extension/"]  # an identifier, not served yet
linkcheck_timeout = 30
linkcheck_workers = 2

html_theme = "furo"
html_title = f"betaearth {version}"
html_copy_source = False
html_show_sourcelink = False
html_static_path: list[str] = []
copybutton_exclude = ".linenos, .gp, .go"
