"""The parts that the site is made of: tables from the code, links, references, and addresses of others."""

from __future__ import annotations

import importlib
import os
import re
import runpy
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType

import pytest

from betaearth.cli.main import HELP
from betaearth.grid.majortom import MajorTomGrid
from betaearth.products.keys import block_name, superblock_name
from betaearth.products.runs import overview_key, plan_key, report_key, shard_key
from betaearth.stac.mirror_listing import part_key
from tests.docs.pages import ROOT
from tests.docs.site_pages import SITE


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    """Gives a module of what makes the site, by its name."""
    monkeypatch.syspath_prepend(SITE / "_ext")
    return importlib.import_module


def test_keys_are_as_the_code_names_them(made: Callable[[str], ModuleType]) -> None:
    text = made("digest_tables").keys()
    named = {plan_key("RUN"), shard_key("RUN", 0), report_key("RUN"), overview_key("RUN")}
    named |= {part_key("betaearth-robust-v1", 2024, "…")}
    assert {key for key in named if f"| `{key}` |" not in text} == set()
    cells = {cell.row_index: cell for cell in MajorTomGrid().cells_in((13.0, 10.0, 13.001, 60.0))}
    for name, most in ((block_name, "Items"), (superblock_name, "")):
        rows = max(Counter(name(cell).partition("-")[0] for cell in cells.values()).values())
        assert f"{rows} x {rows} cells{f': at most {rows**2} {most}' if most else ''}" in text


def test_the_page_of_settings_shows_nobodys_own_folders(
    monkeypatch: pytest.MonkeyPatch, made: Callable[[str], ModuleType]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/somebody")
    tables = made("code_tables")
    assert "`~/.cache/betaearth`" in tables.settings()
    assert "/somebody" not in tables.settings()


def test_exit_codes_are_those_of_the_help(made: Callable[[str], ModuleType]) -> None:
    rows = dict(re.findall(r"^\| (\d+) \|  \| (.+) \|$", made("command_tables").exit_codes(), re.M))
    assert rows.keys() == {"0", "2", "70", "130", "143"}
    help_text = " ".join(HELP.split())
    assert all(words in help_text for words in rows.values())
    assert rows["70"] == "a bug"


def test_references_to_our_own_rooms_are_followed() -> None:
    settings = runpy.run_path(str(SITE / "conf.py"))
    patterns = [pattern for _, pattern in settings["nitpick_ignore_regex"]]
    assert not any(re.fullmatch(pattern, "betaearth.products.manifest.NoSuch") for pattern in patterns)
    for _, name in settings["nitpick_ignore"]:
        module, _, attribute = name.rpartition(".")
        assert hasattr(importlib.import_module(module), attribute), name


def test_links_are_led_but_not_in_code_and_keep_their_titles(made: Callable[[str], ModuleType]) -> None:
    pages = made("repository_pages")
    text = (
        '[a](docs/install.md) `[b](docs/install.md)` ``[c](docs/install.md) ` `` [`d`](docs/install.md "Title")\n'
        "~~~\n[e](docs/install.md)\n~~~\n```\n[f](docs/install.md)\n```\n"
    )
    led = pages.with_links(text, ROOT / "README.md", SITE / "index.md")
    assert led == text.replace("[a](docs/", "[a](").replace("[`d`](docs/", "[`d`](")
    anchors = [one.anchor for one in pages.headings("# A b\n## Twice\n~~~\n# no\n~~~\n## Twice\n## Twice\n")]
    assert anchors == ["a-b", "twice", "twice-1", "twice-2"]


class Links(BaseHTTPRequestHandler):
    """Answers for one path alone."""

    def do_HEAD(self) -> None:
        self.send_response(200 if self.path == "/there" else 404)
        self.end_headers()

    do_GET = do_HEAD  # noqa: N815  # the server's own name

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_a_dead_address_of_another_host_is_found(tmp_path: Path) -> None:
    (line,) = re.findall(r"^docs-links: .*\n\t\$\(BIN\)/python (.*)$", (ROOT / "Makefile").read_text(), re.M)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Links)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        (tmp_path / "docs").mkdir()
        (tmp_path / "docs/conf.py").write_text((SITE / "conf.py").read_text())
        (tmp_path / "docs/_ext").symlink_to(SITE / "_ext")
        address = f"http://127.0.0.1:{server.server_port}"
        (tmp_path / "docs/index.md").write_text(f"# T\n\n[a]({address}/there) [b]({address}/gone)\n")
        environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        done = subprocess.run(
            [sys.executable, *line.split()], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    assert done.returncode != 0
    assert f"{address}/gone" in done.stdout + done.stderr
    assert "/there" not in done.stdout + done.stderr
