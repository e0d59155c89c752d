"""The site builds without a warning, its links hold, and the reference leaves nothing out."""

from __future__ import annotations

import html
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest
import typer.main
from PIL import Image

import betaearth
from betaearth.cli.exit_codes import EXIT_CODES, INTERRUPTED, TERMINATED, UNPLANNED
from betaearth.cli.main import app
from betaearth.nn.variants import VARIANTS
from betaearth.products import manifest
from betaearth.settings import variable_names
from betaearth.stac.audit_findings import Kind
from tests.docs.pages import ROOT
from tests.docs.site_pages import SITE

PICTURES = SITE / "pictures"
LARGEST = 1_000_000
"""Bytes of all pictures together."""


@dataclass
class Html(HTMLParser):
    """What a built page links, loads and can be linked at."""

    path: Path
    ids: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    loaded: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self.feed(self.path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value for name, value in attrs if value}
        self.ids |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        elif "src" in given:
            self.loaded.append(given["src"])
        elif tag == "link" and given.get("rel") in {"stylesheet", "preload", "icon"}:
            self.loaded.append(given["href"])


def build(source: Path, out: Path) -> subprocess.CompletedProcess[str]:
    """Build a site as `make docs` does."""
    words = ["--fail-on-warning", "--keep-going", "--nitpicky", "--quiet"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BETAEARTH_")}
    environment |= {"http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}
    paths = ["--doctree-dir", str(out / "trees"), str(source), str(out / "html")]
    command = [sys.executable, "-m", "sphinx", *words, *paths]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("site")
    done = build(SITE, out)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    return out / "html"


@pytest.fixture(scope="module")
def built(site: Path) -> dict[Path, Html]:
    return {path: Html(path) for path in sorted(site.rglob("*.html"))}


def text_of(site: Path, page: str) -> str:
    """A page's text, without its marks."""
    words = re.sub(r"<[^>]+>", "", (site / page).read_text(encoding="utf-8"))
    return words.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&").replace("&#39;", "'")


def test_every_link_and_fragment_of_the_site_leads_somewhere(built: dict[Path, Html]) -> None:
    dead = [(page.path.name, link) for page in built.values() for link in page.links if is_dead(link, page, built)]
    assert dead == []
    assert sum(len(page.links) for page in built.values()) > 1000


def is_dead(link: str, page: Html, built: dict[Path, Html]) -> bool:
    name, _, fragment = link.partition("#")
    if re.match(r"[a-z]+:", name):
        return not name.startswith(("https:", "mailto:"))
    path = (page.path.parent / unquote(name)).resolve() if name else page.path
    if not path.is_file():
        return True
    return bool(fragment) and path in built and unquote(fragment) not in built[path].ids


def test_no_page_loads_anything_of_another_host(built: dict[Path, Html], site: Path) -> None:
    loaded = {address for page in built.values() for address in page.loaded}
    assert loaded
    assert [address for address in loaded if re.match(r"(?:[a-z]+:)?//", address)] == []
    styles = "".join(path.read_text(encoding="utf-8") for path in (site / "_static").rglob("*.css"))
    assert re.findall(r"url\(['\"]?https?:", styles) == []


def test_every_page_of_the_folder_is_in_the_navigation(built: dict[Path, Html], site: Path) -> None:
    linked = {(site / unquote(link.partition("#")[0])).resolve() for link in built[site / "index.html"].links}
    sources = {path.relative_to(SITE).with_suffix(".html") for path in SITE.rglob("*.md") if "_build" not in path.parts}
    left_out = {Path("index.html"), Path("training/synthetic/findings.html")}
    assert {page for page in sources - left_out if (site / page).resolve() not in linked} == set()


def commands(group: object, above: tuple[str, ...] = ()) -> Iterator[tuple[str, object]]:
    for name, command in group.commands.items():  # type: ignore[attr-defined]
        if hasattr(command, "commands"):
            yield from commands(command, (*above, name))
        else:
            yield " ".join((*above, name)), command


def test_no_command_and_no_option_is_missing(site: Path) -> None:
    assert "taken with underscores too: --output_dir" in text_of(site, "reference/commands.html")
    sections = sections_of((site / "reference/commands.html").read_text(encoding="utf-8"))
    found = dict(commands(typer.main.get_command(app)))
    assert {"plan", "models fetch", "dataset synthetic", "app", "viewer"} <= found.keys()
    for name, command in found.items():
        words = sections[f"betaearth {name}"]
        for parameter in command.params:  # type: ignore[attr-defined]
            given = parameter.opts if parameter.opts[0].startswith("-") else [parameter.metavar or parameter.name]
            assert [word for word in given if not stands_in(word, words)] == [], name
    assert stands_in("--repair", sections["betaearth audit"])
    assert not stands_in("--repair", sections["betaearth publish"])


def stands_in(word: str, text: str) -> bool:
    """Whether a text has a word as a whole, in capitals or not."""
    return re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", text, re.I) is not None


def sections_of(page: str) -> dict[str, str]:
    """The first column of the tables in each section of a page, by its heading."""
    found = {}
    for part in re.split(r"<h2>", page)[1:]:
        heading, _, rest = part.partition("<")
        cells = re.findall(r"<tr[^>]*>\s*<td>(.*?)</td>", rest, re.S)
        found[html.unescape(heading)] = html.unescape(" ".join(re.sub(r"<[^>]+>", "", " ".join(cells)).split()))
    return found


def test_no_setting_is_missing(site: Path) -> None:
    named = set(re.findall(r"BETAEARTH_[A-Z0-9_]+", text_of(site, "reference/settings.html")))
    assert named == set(variable_names())


def test_no_exit_code_is_missing(site: Path) -> None:
    cells = re.findall(r"<td><p>(\d+)</p></td>", (site / "reference/exit-codes.html").read_text())
    assert {int(cell) for cell in cells} == {0, 2, *EXIT_CODES.values(), UNPLANNED, INTERRUPTED, TERMINATED}


def test_no_field_of_the_manifest_is_missing(site: Path) -> None:
    text = (site / "reference/manifest.html").read_text()
    records = [kind for kind in vars(manifest).values() if isinstance(kind, type) and issubclass(kind, manifest.Record)]
    assert len(records) > 8
    names = {name for kind in records for name in kind.model_fields}
    assert {name for name in names if f'<span class="pre">{name}</span>' not in text} == set()


def test_no_field_of_the_extension_no_finding_and_no_variant_is_missing(site: Path) -> None:
    schema = json.loads((ROOT / "catalog/extension/v1.0.0/schema.json").read_text())["definitions"]
    made = (site / "reference/extension.html").read_text().rpartition('id="fields-as-the-schema-has-them"')[2]
    for name in ("model", "provenance", "observations"):
        assert {f for f in schema[name]["properties"] if f'<span class="pre">{f}</span>' not in made} == set()
    findings = text_of(site, "reference/findings.html")
    assert [kind for kind in Kind if kind.value not in findings] == []
    variants = text_of(site, "reference/variants.html")
    assert [name for name in VARIANTS if name not in variants] == []
    assert "0.873 ± 0.109" in variants


def test_everything_public_in_python_is_described(site: Path) -> None:
    ids = Html(site / "reference/python.html").ids
    described = {name.rpartition(".")[2] for name in ids if name.startswith("betaearth.")}
    assert set(betaearth.__all__) - {"__version__"} <= described
    assert described >= {"generate", "from_pretrained", "predict", "DataError", "TransientError", "ConfigError"}


def test_the_digests_table_tells_what_counts(site: Path) -> None:
    text = text_of(site, "reference/digests.html")
    rows = dict(re.findall(r"\n(\S+)\n(?:\s*\n)?(yes|no)\n", text))
    assert rows["variant.weights_sha256"] == rows["grid.epsg"] == rows["options"] == "yes"
    assert rows["variant.weights"] == rows["grid.footprint"] == "no"


def test_a_wrong_page_stops_the_build(tmp_path: Path) -> None:
    pages = {
        "link": ("[x](nowhere.md)\n", "nowhere"),
        "part": ("<!-- generated: nothing -->\n", "'nothing'"),
        "section": ("[x](../README.md#no-such-section)<!-- include -->\n", "no-such-section"),
    }
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "conf.py").write_text((SITE / "conf.py").read_text())
    (docs / "_ext").symlink_to(SITE / "_ext")
    (tmp_path / "README.md").write_text("# Title\n")
    for name, (text, words) in pages.items():
        (docs / "index.md").write_text(f"# Title\n\n{text}")
        done = build(docs, tmp_path / name)
        assert done.returncode != 0, name
        assert words in done.stderr, done.stderr


def test_pictures_are_shown_small_and_made_by_the_script() -> None:
    pictures = sorted(PICTURES.glob("*"))
    shown = "".join(path.read_text() for path in SITE.rglob("*.md"))
    assert {path.name for path in pictures} == {"overview.png", "preview.png", "quality.png", "viewer.png"}
    assert all(f"pictures/{path.name}" in shown for path in pictures)
    assert sum(path.stat().st_size for path in pictures) < LARGEST


def test_the_script_of_the_pictures_runs(small_demo: Path, tmp_path: Path) -> None:
    words = [str(SITE / "pictures.py"), "--demo", str(small_demo), "--out", str(tmp_path)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BETAEARTH_")}
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    made = {path.name for path in tmp_path.iterdir()}
    assert made >= {"overview.png", "preview.png", "quality.png"}
    assert "viewer.png" in made or "stays as it is" in done.stderr
    for path in tmp_path.iterdir():
        with Image.open(path) as picture:
            assert min(picture.size) > 200
            colours = picture.convert("RGB").getcolors(2**24)
            assert colours
            assert len(colours) > 20
