"""What `huggingface_hub` says, against a hub on the loopback: answers, and every error in our words."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from pathlib import Path

import pytest

from betaearth.errors import ConfigError, TransientError
from betaearth.nn.hub import download, hub_errors, resolve, without_credentials
from tests.weights_server import WeightsServer

REPO = "asterisk-labs/betaearth-segformer-film-robust"
FILES = {"model.safetensors": os.urandom(300_000), "config.json": b"{}"}


def test_a_revision_is_resolved_to_its_commit(hub: WeightsServer) -> None:
    old = hub.publish(REPO, {"model.pt": b"old"}, "v1", "refs/pr/1")
    new = hub.publish(REPO, FILES)
    at = resolve(REPO, None)
    assert (at.repo, at.commit, at.endpoint, at.licence) == (REPO, new, hub.url, "cc-by-4.0")
    assert at.files["model.safetensors"].size == 300_000
    assert at.files["model.safetensors"].sha256 == hashlib.sha256(FILES["model.safetensors"]).hexdigest()
    assert at.files["config.json"].sha256 is None
    assert [resolve(REPO, name).commit for name in ("v1", "refs/pr/1", old)] == [old] * 3


def test_a_file_arrives_whole_and_is_reported(hub: WeightsServer, tmp_path: Path) -> None:
    hub.publish(REPO, FILES)
    told: list[tuple[int, int | None]] = []
    path = download(resolve(REPO, None), "model.safetensors", tmp_path, lambda *arrived: told.append(arrived))
    assert path == tmp_path / "model.safetensors"
    assert path.read_bytes() == FILES["model.safetensors"]
    assert told[-1] == (300_000, 300_000)


def test_a_token_goes_along(hub: WeightsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    hub.publish(REPO, FILES)
    resolve(REPO, None)
    assert hub.authorised == ["Bearer hf_secret"]


def test_what_is_not_there(hub: WeightsServer, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"someone/nothing: .* has no such repository"):
        resolve("someone/nothing", None)
    hub.publish(REPO, FILES)
    with pytest.raises(ConfigError, match=r"robust at v9: .* has no such repository, revision"):
        resolve(REPO, "v9")
    at = resolve(REPO, None)
    hub.commits[REPO, at.commit] = {}
    with pytest.raises(ConfigError, match=r"config\.json of .* has no such"):
        download(at, "config.json", tmp_path)


@pytest.mark.parametrize(
    ("status", "headers", "said"),
    [
        (401, {"X-Error-Code": "GatedRepo"}, "is gated: accept its terms"),
        (403, {"X-Error-Code": "GatedRepo"}, "is gated: accept its terms"),
        (401, {}, "HF_TOKEN does not open it"),
        (403, {}, "HF_TOKEN does not open it"),
    ],
)
def test_what_may_not_be_read(
    hub: WeightsServer, tmp_path: Path, status: int, headers: dict[str, str], said: str
) -> None:
    hub.publish(REPO, FILES)
    at = resolve(REPO, None)
    hub.fail("GET", "/api/", status=status, headers=headers)
    hub.fail("HEAD", "/resolve/", status=status, headers=headers)
    with pytest.raises(ConfigError, match=said):
        resolve(REPO, None)
    with pytest.raises(ConfigError, match=said):
        download(at, "model.safetensors", tmp_path)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_fault_of_moments_passes(hub: WeightsServer, tmp_path: Path, status: int) -> None:
    hub.publish(REPO, FILES)
    hub.fail("GET", "/api/", status=status, times=2)
    hub.fail("HEAD", "/resolve/", status=status, times=2)
    assert download(resolve(REPO, None), "config.json", tmp_path).read_bytes() == b"{}"


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_fault_that_stays_may_pass_later(hub: WeightsServer, tmp_path: Path, status: int) -> None:
    hub.publish(REPO, FILES)
    at = resolve(REPO, None)
    hub.fail("GET", "/api/", status=status)
    with pytest.raises(TransientError, match=f"cannot answer now .{status}."):
        resolve(REPO, None)
    hub.fail("HEAD", "/resolve/", status=status)
    with pytest.raises(TransientError, match=f"cannot answer now .{status}."):
        download(at, "model.safetensors", tmp_path)


def test_a_file_that_is_cut_again_and_again(hub: WeightsServer, tmp_path: Path) -> None:
    hub.publish(REPO, FILES)
    hub.fail("GET", "/resolve/", cut=1000)
    with pytest.raises(TransientError, match=r"model\.safetensors of .*@"):
        download(resolve(REPO, None), "model.safetensors", tmp_path)
    assert not (tmp_path / "model.safetensors").exists()


def test_nobody_listens(hub: WeightsServer, refused: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.publish(REPO, FILES)
    at = resolve(REPO, None)
    template = f"{refused}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", refused)
    monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)
    with pytest.raises(TransientError, match=f"{refused} cannot be reached"):
        resolve(REPO, None)
    with pytest.raises(TransientError, match="cannot be reached"):
        download(replace(at, endpoint=refused), "model.safetensors", tmp_path)


def test_a_password_in_the_hubs_address_is_not_shown(refused: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", refused.replace("//", "//user:secret@"))
    with pytest.raises(TransientError, match=f"{refused} cannot be reached") as failure:
        resolve(REPO, None)
    assert "secret" not in str(failure.value)


def test_an_address_without_a_scheme(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "hub.example.org")
    with pytest.raises(ConfigError, match=r"HF_ENDPOINT hub\.example\.org is no hub's address: https://host is needed"):
        resolve(REPO, None)


def test_a_certificate_that_cannot_be_trusted_stays_so() -> None:
    from huggingface_hub import errors

    said = "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed certificate (_ssl.c:1006)"
    with (
        pytest.raises(ConfigError, match="the certificate of https://hub cannot be trusted"),
        hub_errors("x", "https://hub"),
    ):
        raise errors.HTTPError(said)  # type: ignore[attr-defined]  # of whichever HTTP library it is built on


def test_without_credentials() -> None:
    assert without_credentials("https://u:p@h:8/a/b/?q=1#f") == "https://h:8/a/b"
    assert without_credentials("s3://bucket/prefix/") == "s3://bucket/prefix"


def test_offline_mode(hub: WeightsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(TransientError, match=r"offline mode \(HF_HUB_OFFLINE\) is on"):
        resolve(REPO, None)
    assert hub.asked == []


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"{}", b'{"sha": "1", "siblings": [1]}'])
def test_an_address_that_is_no_hub(hub: WeightsServer, body: bytes) -> None:
    hub.files[f"/api/models/{REPO}"] = body
    hub.answer = lambda path: (200, {}, hub.files[path])  # type: ignore[method-assign]
    with pytest.raises(ConfigError, match="does not answer as a hub does"):
        resolve(REPO, None)


def test_an_id_that_cannot_be(hub: WeightsServer, tmp_path: Path) -> None:
    hub.publish("a/b--c..d", FILES)
    at = resolve("a/b--c..d", None)
    with pytest.raises(ConfigError, match="b--c"):
        download(at, "config.json", tmp_path)


def test_a_full_disk_is_left_to_others_and_so_is_what_nobody_knows() -> None:
    with pytest.raises(OSError, match="No space"), hub_errors("x", "y"):
        raise OSError(28, "No space left on device")
    with pytest.raises(PermissionError), hub_errors("x", "y"):
        raise PermissionError(13, "Permission denied")
    with pytest.raises(KeyError), hub_errors("x", "y"):
        raise KeyError("x")


def test_errors_of_the_second_protocol(hub: WeightsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """hf_xet cannot be served here: its errors are those that its module documents."""
    hub.publish(REPO, FILES)
    at = resolve(REPO, None)

    def breaking(error: Exception) -> None:
        def fail(*_: object, **__: object) -> None:
            raise error

        monkeypatch.setattr("huggingface_hub.hf_hub_download", fail)

    breaking(RuntimeError("Data processing error: connection reset"))
    with pytest.raises(TransientError, match="connection reset"):
        download(at, "model.safetensors", tmp_path)
    breaking(PermissionError("token refused"))
    with pytest.raises(ConfigError, match="token refused"):
        download(at, "model.safetensors", tmp_path)
    breaking(ConnectionResetError(104, "reset"))
    with pytest.raises(TransientError, match="reset"):
        download(at, "model.safetensors", tmp_path)
