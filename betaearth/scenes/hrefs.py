"""What of an href may be shown, and what may be kept: a signature in its query is a secret that expires."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

BLOB_STORAGE = ".blob.core.windows.net"
"""End of the host names of Azure's blob storage."""
WEB = ("http://", "https://")
_SHOWN = ("s3://", "file://")
"""Addresses that hold no secrets."""

_SAS = frozenset(
    (
        *(
            "st",
            "se",
            "sp",
            "spk",
            "epk",
            "srk",
            "erk",
            "sv",
            "sr",
            "srt",
            "ss",
            "si",
            "sip",
            "spr",
            "sig",
            "ses",
            "sdd",
        ),
        *("skoid", "sktid", "skt", "ske", "sks", "skv", "skdutid", "saoid", "suoid", "scid", "tn"),
        *("rscc", "rscd", "rsce", "rscl", "rsct"),
    )
)
"""Query parameters of a shared access signature (Microsoft, "Create a service SAS", "Create a user delegation SAS")."""
_SIGNATURES = frozenset(
    (
        *("sig", "signature", "credential", "expires", "policy", "key-pair-id", "awsaccesskeyid", "googleaccessid"),
        *("accesskeyid", "ossaccesskeyid"),
    )
)
"""Query parameters of what other stores sign, which expires."""
_CREDENTIALS = _SIGNATURES | frozenset(
    ("token", "access_token", "password", "secret", "key", "apikey", "api_key", "api-key", "subscription-key")
)
"""Query parameters by which other stores and servers know who asks."""
_PRESIGNED = ("x-amz-", "x-goog-", "x-oss-")


def plain(href: str) -> str:
    """Return an href for people to read: without query, fragment and login. Paths and `s3://` stay as they are.

    Addresses of kinds that nobody reads here are shown in errors, and may hold secrets too.
    """
    if "://" not in href or href.startswith(_SHOWN):
        return href
    parts = _parts(href)
    return urlunsplit(parts._replace(netloc=_host(parts), query="", fragment=""))


def unsigned(href: str) -> str:
    """Return an href of blob storage without its shared access signature; every other stays as it is."""
    return _without(href, lambda name: name in _SAS) if on_blob_storage(href) else href


def recorded(href: str) -> str:
    """Return an href that may be kept for good: whatever could be a credential is left out of it."""
    if not href.startswith(WEB):
        return href
    parts = _parts(unsigned(href))
    clean = urlunsplit(parts._replace(netloc=_host(parts)))
    return _without(clean, lambda name: name in _CREDENTIALS or name.startswith(_PRESIGNED))


def lasting(href: str) -> str:
    """Return what tells a file from every other one, however often it is signed anew: an href without signatures.

    A parameter such as `key` may be a credential and may name the file, so it stays: for digests, not to be shown.
    """
    return _without(unsigned(href), lambda name: name in _SIGNATURES or name.startswith(_PRESIGNED))


def on_blob_storage(href: str) -> bool:
    """Tell whether an href lies on Azure's blob storage."""
    return href.startswith(WEB) and (_parts(href).hostname or "").endswith(BLOB_STORAGE)


def _parts(href: str) -> SplitResult:
    """Take an href apart; what is no address is all path, and whoever asks for it is told so."""
    try:
        return urlsplit(href)
    except ValueError:
        return SplitResult("", "", href.partition("?")[0], "", "")


def _host(parts: SplitResult) -> str:
    return parts.netloc.rpartition("@")[2]


def _without(href: str, secret: Callable[[str], bool]) -> str:
    """Leave out parameters by their names; the spelling of the others stays."""
    parts = _parts(href)
    kept = [pair for pair in parts.query.split("&") if pair and not secret(unquote(pair.partition("=")[0]).lower())]
    return urlunsplit(parts._replace(query="&".join(kept)))
