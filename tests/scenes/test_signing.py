"""Signing for real: the library's own settings and cache, and an endpoint on the loopback."""

from __future__ import annotations

import threading
import time
import warnings
from typing import Any

import pytest

from betaearth.errors import ConfigError, DataError, TransientError
from betaearth.scenes.http import Client, Patience
from betaearth.scenes.signing import PlanetaryComputerSigner, TokenBudget
from tests.scenes.conftest import BLOBS, FileServer

HREF = f"{BLOBS}/a.tif"


@pytest.fixture
def signer(blobs: FileServer) -> PlanetaryComputerSigner:  # noqa: ARG001
    client = Client(patience=Patience(connect_s=2.0, read_s=2.0, retries=1, backoff_s=0.01))
    return PlanetaryComputerSigner(client=client, budget=TokenBudget())


def test_what_is_signed(signer: PlanetaryComputerSigner) -> None:
    assert signer.signs(HREF)
    assert signer.signs(HREF.replace("http:", "https:"))
    for href in (
        "https://ai4edatasetspublicassets.blob.core.windows.net/a/b.tif",
        "https://example.org/a/b.tif",
        "https://example.org/imagery.blob.core.windows.net/a.tif",
        "s3://imagery.blob.core.windows.net/a.tif",
        "/data/a.tif",
    ):
        assert not signer.signs(href)


def test_one_token_for_all_blobs_of_a_container(signer: PlanetaryComputerSigner, blobs: FileServer) -> None:
    signed = signer.sign(HREF)
    assert signed == f"{HREF}?{blobs.token}"
    assert signer.sign(f"{BLOBS}/b.tif") == f"{BLOBS}/b.tif?{blobs.token}"
    assert signer.sign(f"{HREF}?st=old&sig=old") == signed
    assert signer.sign(f"{HREF}?snapshot=7&sig=old") == f"{HREF}?snapshot=7&{blobs.token}"
    assert blobs.seen == ["http://tokens.example.org/token/imagery/container "]
    assert blobs.headers[0]["Ocp-Apim-Subscription-Key"] == "letmein"
    signer.sign(HREF.replace("container", "other"))
    assert blobs.tokens == 2


def test_the_librarys_cache_is_used(signer: PlanetaryComputerSigner, blobs: FileServer) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import planetary_computer
    assert planetary_computer.sign(signer.sign(HREF)) == planetary_computer.sign(HREF) == signer.sign(HREF)
    assert blobs.tokens == 1


def test_a_token_about_to_expire_is_renewed(signer: PlanetaryComputerSigner, blobs: FileServer) -> None:
    soon = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 50)).encode()
    blobs.token_body = b'{"msft:expiry": "' + soon + b'", "token": "sig=old"}'
    assert signer.sign(HREF).endswith("sig=old")
    blobs.token_body = None
    assert signer.sign(HREF).endswith("sig=hushhush2")


def test_a_refused_token_is_forgotten_but_not_its_successor(signer: PlanetaryComputerSigner, blobs: FileServer) -> None:
    first = signer.sign(HREF)
    signer.forget(first)
    second = signer.sign(HREF)
    assert second != first
    signer.forget(first)
    assert signer.sign(HREF) == second
    assert blobs.tokens == 2


def test_threads_ask_once(signer: PlanetaryComputerSigner, blobs: FileServer) -> None:
    blobs.delay_s = 0.05
    signed: set[str] = set()
    threads = [threading.Thread(target=lambda: signed.add(signer.sign(HREF))) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert signed == {f"{HREF}?{blobs.token}"}
    assert blobs.tokens == 1


def test_a_throttled_endpoint_is_waited_for(signer: PlanetaryComputerSigner, blobs: FileServer) -> None:
    blobs.token_faults = [(429, {"Retry-After": "1"})]
    begun = time.monotonic()
    assert signer.sign(HREF) == f"{HREF}?{blobs.token}"
    assert time.monotonic() - begun >= 1.0


@pytest.mark.parametrize("status", [429, 500, 503, 504])
def test_an_endpoint_that_is_down(status: int, signer: PlanetaryComputerSigner, blobs: FileServer) -> None:
    blobs.token_faults = [(status, {})] * 9
    with pytest.raises(TransientError, match="gives out no token now"):
        signer.sign(HREF)


def test_an_endpoint_that_is_silent(
    signer: PlanetaryComputerSigner, blobs: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with pytest.raises(TransientError, match="no whole answer"):
        signer.sign(HREF)
    assert blobs.tokens == 0


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_an_endpoint_that_refuses(status: int, signer: PlanetaryComputerSigner, blobs: FileServer) -> None:
    blobs.token_faults = [(status, {})]
    with pytest.raises(ConfigError, match="PC_SDK_SAS_URL") as caught:
        signer.sign(HREF)
    assert "letmein" not in str(caught.value)


@pytest.mark.parametrize("body", [b"<html>hushhush</html>", b'{"token": "hushhush"}', b"[]"])
def test_an_endpoint_that_is_none(body: bytes, signer: PlanetaryComputerSigner, blobs: FileServer) -> None:
    blobs.token_body = body
    with pytest.raises(ConfigError, match="no token") as caught:
        signer.sign(HREF)
    error: Any = caught.value
    assert "hushhush" not in str(error)
    assert error.__cause__ is None
    assert error.__context__ is None


def test_no_blob(signer: PlanetaryComputerSigner) -> None:
    with pytest.raises(DataError, match="names no blob"):
        signer.sign("http://imagery.blob.core.windows.net/a.tif?sig=x")


def test_tokens_are_not_asked_for_without_end(blobs: FileServer) -> None:
    signer = PlanetaryComputerSigner(budget=TokenBudget(3))
    for _ in range(3):
        signer.forget(signer.sign(HREF))
    with pytest.raises(TransientError, match="3 tokens"):
        signer.sign(HREF)
    assert blobs.tokens == 3


def test_the_budget_is_one_of_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    budget, now = TokenBudget(2), 1000.0
    monkeypatch.setattr("betaearth.scenes.signing.time.monotonic", lambda: now)
    budget.spend()
    now += 40.0
    budget.spend()
    now += 15.0
    with pytest.raises(TransientError):
        budget.spend()
    now += 10.0
    budget.spend()
