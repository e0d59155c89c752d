"""The Hugging Face Hub: what a repository holds at a revision, and its files.

Endpoint, token, proxy and offline mode are `huggingface_hub`'s own (`HF_ENDPOINT`, `HF_TOKEN`, `HF_HUB_OFFLINE`, ...),
and so are its retries of moments.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, quote, urlsplit, urlunsplit

from betaearth.errors import ConfigError, TransientError

TIMEOUT_S = 10.0
RETRIES = 3
"""Of the question what a revision is: 1 s, 2 s and 4 s apart."""
BUSY = (408, 429, 500, 502, 503, 504)
REFUSED = (401, 403, 404, 410)
"""The hub tells apart what is private and what is not there only to those whom it knows."""
SERVER_FAULT = 500

Report = Callable[[int, int | None], None]
"""Called with the bytes that arrived so far, and those of the whole file where they are known."""


@dataclass(frozen=True)
class HubFile:
    """A file of a repository."""

    name: str
    size: int | None
    """Bytes; None where the hub does not say it."""
    sha256: str | None
    """Digest; None for small files, of which the hub keeps none."""


@dataclass(frozen=True)
class HubRevision:
    """A repository at one commit."""

    repo: str
    commit: str
    """The whole hash."""
    endpoint: str
    """Address of the hub, perhaps with credentials."""
    files: Mapping[str, HubFile]
    licence: str | None
    """As the card names it."""


def resolve(repo: str, revision: str | None) -> HubRevision:
    """Ask what a repository is at a revision.

    Args:
        repo: `owner/name`.
        revision: branch, tag or commit; None for the main branch.

    Raises:
        ConfigError: there is no such repository or revision, no permission, or the hub's address is none.
        TransientError: the hub did not answer, or offline mode is on.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.utils import (  # type: ignore[attr-defined]  # documented there, but not exported to mypy
        build_hf_headers,
        hf_raise_for_status,
        http_backoff,
    )

    endpoint = HfApi().endpoint
    if urlsplit(endpoint).scheme not in {"http", "https"}:
        raise ConfigError(f"HF_ENDPOINT {without_credentials(endpoint)} is no hub's address: https://host is needed")
    asked = f"/revision/{quote(revision, safe='')}" if revision else ""
    with hub_errors(f"{repo}{f' at {revision}' if revision else ''}", endpoint):
        answer = http_backoff(
            "GET",
            f"{endpoint}/api/models/{repo}{asked}",
            params={"blobs": "true"},
            headers=build_hf_headers(),
            timeout=TIMEOUT_S,
            max_retries=RETRIES,
            retry_on_status_codes=BUSY,
        )
        hf_raise_for_status(answer)
        return _revision(repo, endpoint, answer.content)


def download(at: HubRevision, name: str, folder: Path, report: Report | None = None) -> Path:
    """Download one file of a repository.

    Args:
        at: the repository at a commit.
        name: of the file.
        folder: where to write it, under its name; the library keeps notes of its own there.
        report: called as bytes arrive; None leaves the library's bar, which shows on terminals only.

    Raises:
        ConfigError: there is no such file, or no permission.
        TransientError: the hub did not answer, or the transfer broke.
    """
    from huggingface_hub import hf_hub_download

    with hub_errors(f"{name} of {at.repo}@{at.commit}", at.endpoint):
        try:
            path = hf_hub_download(
                at.repo,
                name,
                revision=at.commit,
                local_dir=folder,
                endpoint=at.endpoint,
                tqdm_class=_reporting(report, at.files[name].size) if report else None,
            )
        except RuntimeError as error:
            # The hub's second protocol, hf_xet, is native code and has no other error for a broken transfer.
            source = without_credentials(at.endpoint)
            raise TransientError(f"{name} of {at.repo} did not arrive from {source}: {error}") from error
    return Path(path)


@contextmanager
def hub_errors(what: str, endpoint: str) -> Iterator[None]:
    """Translate what `huggingface_hub` says; what it does not know passes untouched.

    Raises:
        ConfigError: not there, no permission, the address is not a hub's, or its certificate is wrong.
        TransientError: no connection, a broken transfer, a server's fault, too many requests, or offline mode.
    """
    from huggingface_hub import errors

    endpoint = without_credentials(endpoint)
    try:
        yield
    except errors.OfflineModeIsEnabled as error:
        raise TransientError(f"{what} is not in the cache, and offline mode (HF_HUB_OFFLINE) is on") from error
    except errors.LocalEntryNotFoundError as error:
        # Raised wherever asking for a file fails; the cause says why.
        if (ours := _by_status(what, endpoint, error.__cause__)) is not None:
            raise ours from error
        if isinstance(error.__cause__, errors.FileMetadataError):
            raise ConfigError(f"{what}: {endpoint} does not answer as a hub does: {error.__cause__}") from error
        raise _unreached(what, endpoint, error) from error
    except errors.HfHubHTTPError as error:
        if (ours := _by_status(what, endpoint, error)) is None:
            raise
        raise ours from error
    except errors.HFValidationError as error:
        raise ConfigError(f"{what}: {error}") from error
    except errors.HTTPError as error:  # type: ignore[attr-defined]  # of whichever HTTP library it is built on
        raise _unreached(what, endpoint, error) from error
    except PermissionError as error:
        if error.errno is not None:
            raise  # of this machine's disk
        raise ConfigError(f"{what} may not be read from {endpoint}: {_said(error)}") from error
    except OSError as error:
        if error.errno is None or isinstance(error, ConnectionError | TimeoutError):
            raise TransientError(f"{what} did not arrive whole from {endpoint}: {_said(error)}") from error
        raise


def without_credentials(uri: str) -> str:
    """Take user, password, query and the last slash away."""
    parts = urlsplit(uri)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(SplitResult(parts.scheme, host, parts.path.rstrip("/"), "", ""))


def _by_status(what: str, endpoint: str, error: BaseException | None) -> ConfigError | TransientError | None:
    """Make our error of the hub's answer; None where we know none."""
    from huggingface_hub import errors

    if not isinstance(error, errors.HfHubHTTPError):
        return None
    status = error.response.status_code
    if isinstance(error, errors.GatedRepoError):
        return ConfigError(f"{what} is gated: accept its terms at {endpoint}, and set HF_TOKEN")
    if status in REFUSED:
        return ConfigError(
            f"{what}: {endpoint} has no such repository, revision or file, or HF_TOKEN does not open it ({status})"
        )
    if status in BUSY or status >= SERVER_FAULT:
        return TransientError(f"{what}: {endpoint} cannot answer now ({status})")
    return None


def _unreached(what: str, endpoint: str, error: BaseException) -> ConfigError | TransientError:
    said = _said(error)
    if "CERTIFICATE" in said.upper():
        return ConfigError(f"{what}: the certificate of {endpoint} cannot be trusted: {said}")
    return TransientError(f"{what}: {endpoint} cannot be reached, or the transfer broke: {said}")


def _said(error: BaseException) -> str:
    """The first line of a message, which goes on with advice about the library's own options."""
    cause = error.__cause__ or error
    return str(cause).strip().partition("\n")[0] or type(cause).__name__


def _revision(repo: str, endpoint: str, content: bytes) -> HubRevision:
    try:
        answer = json.loads(content)
        files = [
            HubFile(entry["rfilename"], entry.get("size"), (entry.get("lfs") or {}).get("sha256"))
            for entry in answer["siblings"]
        ]
        licence = (answer.get("cardData") or {}).get("license")
        return HubRevision(
            repo=repo,
            commit=str(answer["sha"]),
            endpoint=endpoint,
            files={file.name: file for file in files},
            licence=licence if isinstance(licence, str) else None,
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        where = without_credentials(endpoint)
        raise ConfigError(f"{repo}: {where} does not answer as a hub does ({error!r}); check HF_ENDPOINT") from error


def _reporting(report: Report, size: int | None) -> type[Any]:
    """Make a silent bar that hands on how far a download is."""
    from huggingface_hub.utils import tqdm  # type: ignore[attr-defined]

    class Bar(tqdm):
        arrived = 0

        def __init__(self, *args: object, **options: object) -> None:
            super().__init__(*args, **{**options, "disable": True})  # type: ignore[no-untyped-call]

        def update(self, n: float | None = 1) -> None:
            self.arrived += int(n or 0)
            report(self.arrived, size)

    return Bar
