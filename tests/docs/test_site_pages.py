"""What the pages say can be done: every command runs or is parsed for a reason, every block of Python runs."""

from __future__ import annotations

import ast
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from betaearth.cli.main import app, guarded
from tests.docs.pages import Page, dead_links, parse
from tests.docs.site_pages import ADDRESS, calls, is_own, pages, words_of

PAGES = pages()
OWN = [page for page in PAGES if is_own(page)]

CLUSTER = "wants a cluster; tests/cluster and tests/argo run it against doubles of both APIs"
NETWORK = "wants real imagery, weights or S3 of the reader's; tests/e2e run the same on loopback"
ENDLESS = "serves until it is interrupted; tests/cli run it"
TRAINING = "takes minutes to days; tests/e2e/test_training_story.py runs the same commands, smaller"
PLACEHOLDER = "its argument is a word that stands for another; the commands beside it are run"
PARSED = {
    r"^(submit|status|logs|stop|resubmit|doctor)\b": CLUSTER,
    r"^(serve|app)\b": ENDLESS,
    r"^demo\b": "takes a minute; tests/e2e/test_demo.py runs it",
    r"^(train|evaluate|figures|dataset)\b": TRAINING,
    r"^models (fetch|export)\b": NETWORK,
    r"s3://|https://": NETWORK,
    r"^(generate|run|plan|tile)\b(?!.*--max-per-quarter 1)(?!.*--spacing-km)": NETWORK,
    r"\b(ITEM|CELL|COMMAND|FOLDER|DIR)\b": PLACEHOLDER,
    r"^(run|tile|plan|shard|viewer|demo|generate|verify|reproduce|models)$": "a command's name, and no call",
}
"""Which calls of the pages below are not run, but parsed by the real command line: pattern to the reason."""
NO_CALL = {
    "COMMAND": "`betaearth COMMAND --help` stands for any command",
    "submit --source /cache": "the rest of the call is left out, as the sentence around it says",
}
"""What looks like a call and cannot be parsed: a part of it to the reason."""

S3 = "opens a bucket that is the reader's; tests/analysis and tests/e2e/test_clients_s3.py make the same calls"
LISTED = {"S3Options(endpoint": S3}
"""What a block of Python that is not run holds, and why it is not."""
STANDS_FOR = {
    '"robust"': '"demo"',
    '"planetary-computer"': '"synthetic"',
    "(13.2, 48.8, 13.3, 48.9)": "(13.2, 48.8, 13.21, 48.81)",
    "years=[2024]": "years=[2021]",
}
"""What is put in the place of what a block would fetch, or compute for long."""
HOSTS = {
    "betaearth.github.io": "identifier of the extension's schema, not served yet",
    "github.com": "releases of Argo Workflows",
    "huggingface.co": "the released weights",
    "nominatim.openstreetmap.org": "default of a setting",
    "radiantearth.github.io": "the public STAC Browser",
    "stacspec.org": "the STAC specification",
    "storage.googleapis.com": "S3 of Google",
}
"""Every host that a page names, and what it is. They are **not fetched**: tests have no network."""
EXAMPLES = {
    "host",
    "HOST",
    "...",
    "…",
    "…@COMMIT",
    "stac.example.org",
    "127.0.0.1:8080",
    "127.0.0.1:9000",
    "minio:9000",
}


def reason(call: str) -> str | None:
    """Say why a call is only parsed; None where it is run."""
    words = " ".join(words_of(call))
    return next((why for pattern, why in PARSED.items() if re.search(pattern, words)), None)


RUN = [(page, call) for page in OWN for call in dict.fromkeys(calls(page)) if reason(call) is None]
ONLY_PARSED = sorted({call for page in PAGES for call in calls(page) if not is_own(page) or reason(call)})


@pytest.fixture(autouse=True)
def _signals() -> Iterator[None]:
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.usefixtures("reader")
@pytest.mark.parametrize("call", sorted({call for _, call in RUN}))
def test_a_command_runs(call: str, capfd: pytest.CaptureFixture[str]) -> None:
    code = guarded(lambda: app(args=words_of(call)))
    said = capfd.readouterr()
    assert code == 0, said.err
    assert said.out or said.err


@pytest.mark.parametrize("call", [call for call in ONLY_PARSED if not any(word in call for word in NO_CALL)])
def test_a_command_that_is_not_run_parses(call: str) -> None:
    parse(words_of(call))


def test_commands_are_found_on_the_pages() -> None:
    run = {words_of(call)[0] for _, call in RUN}
    assert run >= {"verify", "reproduce", "audit", "plan", "generate", "viewer", "models"}
    assert {words_of(call)[0] for call in ONLY_PARSED} >= {"demo", "serve", "app", "run", "submit", "train"}


def python_blocks() -> Iterator[Any]:
    """Yield each page with its blocks, which a reader runs one after the other."""
    for page in OWN:
        if page.name != "README" and page.blocks("python"):
            yield pytest.param(page.blocks("python"), id=page.name)
    for page in PAGES:
        if page.name in ("README", "catalog/extension/README"):
            for number, block in enumerate(page.blocks("python")):
                yield pytest.param([block], id=f"{page.name}-{number}")


@pytest.mark.usefixtures("reader")
@pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning")
@pytest.mark.filterwarnings("ignore:The 'shapely.ops.transform:DeprecationWarning")
@pytest.mark.parametrize("blocks", list(python_blocks()))
def test_python_runs(blocks: list[str]) -> None:
    scope: dict[str, Any] = given_arrays()
    for block in blocks:
        code = block
        for written, offline in STANDS_FOR.items():
            code = code.replace(written, offline)
        compiled = compile(code, "block", "exec")
        if not any(mark in code for mark in LISTED):
            exec(compiled, scope)
    ran = [block for block in blocks if not any(mark in block for mark in LISTED)]
    assert all(name in scope for block in ran for name in assigned(block))


def assigned(block: str) -> set[str]:
    """Names that a block gives a value or imports, at its own level."""
    names = set()
    for statement in ast.parse(block).body:
        match statement:
            case ast.Import(names=found) | ast.ImportFrom(names=found):
                names |= {(alias.asname or alias.name).partition(".")[0] for alias in found}
            case ast.Assign(targets=targets):
                names |= {node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)}
    return names


def given_arrays() -> dict[str, Any]:
    """What a block that begins with the reader's own arrays finds."""
    generator = np.random.default_rng(7)
    return {
        "__name__": "page",
        "np": np,
        "q": np.arange(-64, 64, dtype=np.int8).reshape(2, 64),
        "s2_l2a": generator.integers(1, 4000, (9, 48, 48), dtype=np.uint16),
        "s1": generator.uniform(0.001, 0.5, (2, 48, 48)).astype(np.float32),
        "dem": generator.uniform(200, 900, (1, 48, 48)).astype(np.float32),
    }


def test_most_blocks_are_run_and_leave_names() -> None:
    blocks = [block for parameters in python_blocks() for block in parameters.values[0]]
    ran = [block for block in blocks if not any(mark in block for mark in LISTED)]
    assert len(blocks) - len(ran) <= len(LISTED)
    assert sum(bool(assigned(block)) for block in ran) > 20
    assert assigned("import a.b\nfrom c import d as e\nf, g = 1, 2\nprint(h)") == {"a", "e", "f", "g"}


def test_what_is_listed_is_on_a_page() -> None:
    blocks = [block for page in PAGES for block in page.blocks("python")]
    for mark in [*LISTED, *STANDS_FOR]:
        assert any(mark in block for block in blocks), mark


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_within_the_repository_lead_somewhere(page: Page) -> None:
    assert [link for link in dead_links(page) if not is_made(link, page)] == []


def is_made(link: str, page: Page) -> bool:
    """Whether a link leads to a heading that is only there when the site is built; test_site.py follows those."""
    target = page.path.parent / link.partition("#")[0]
    made = ("<!-- include", "<!-- generated: ")
    return "#" in link and target.is_file() and any(mark in target.read_text() for mark in made)


def test_addresses_are_of_hosts_that_are_known_and_https() -> None:
    named = [(scheme, host.rstrip(".:"), page.name) for page in PAGES for scheme, host in ADDRESS.findall(page.text)]
    assert {entry for entry in named if entry[1] not in {*HOSTS, *EXAMPLES, ""}} == set()
    assert {entry for entry in named if entry[0] == "http" and entry[1] not in EXAMPLES} == set()
    assert {host for _, host, _ in named} >= HOSTS.keys()


def test_a_dead_link_of_a_page_is_noticed() -> None:
    page = Page("x", Path(__file__).parents[2] / "docs" / "index.md", "[a](install.md#no-such) [b](nowhere.md)")
    assert dead_links(page) == ["install.md#no-such", "nowhere.md"]
