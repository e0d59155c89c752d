"""URIs of S3: `s3://bucket/prefix`."""

from __future__ import annotations

import re

from betaearth.errors import ConfigError
from betaearth.storage.discretion import discreet
from betaearth.storage.keys import is_key

SCHEME = "s3://"
LONGEST_PREFIX = 200
"""Bytes; with the longest key it stays below what S3 allows."""

_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]")
"""Also those of before 2018 in one region of AWS, which nobody can make any more, and of lenient services."""
_BUCKET_OF_STORE = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
"""What every service takes, so that a store can be copied to another one."""
_NAMES = "3 to 63 of a-z, 0-9, '.', '-', with a letter or digit at either end"


def parse_s3_uri(uri: str) -> tuple[str, str]:
    """Return the bucket, and what follows it without slashes at its ends.

    Raises:
        ConfigError: there is no bucket that could have this name.
    """
    bucket, _, rest = uri.removeprefix(SCHEME).partition("/")
    if not uri.startswith(SCHEME) or not _BUCKET.fullmatch(bucket):
        raise ConfigError(f"{discreet(uri)} names no bucket: write s3://bucket/prefix, the bucket in {_NAMES}")
    return bucket, rest.strip("/")


def parse_s3_store(uri: str) -> tuple[str, str]:
    """Return bucket and prefix of a store.

    Raises:
        ConfigError: there is no such bucket or prefix.
    """
    bucket, prefix = parse_s3_uri(uri)
    if not _BUCKET_OF_STORE.fullmatch(bucket):
        raise ConfigError(
            f"{discreet(uri)} is no store: not every service has a bucket {bucket}; its name must be {_NAMES}"
        )
    if prefix and (not is_key(prefix) or len(prefix.encode()) > LONGEST_PREFIX):
        raise ConfigError(
            f"{uri} is no store: its prefix must be names joined by single slashes, {LONGEST_PREFIX} bytes at most"
        )
    return bucket, prefix
