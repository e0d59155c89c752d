"""How S3 is reached: options, and one client for each set of them.

Credentials come from boto3's own chain: environment, profiles, web identity, instance and container roles.
"""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from betaearth.errors import ConfigError
from betaearth.storage.discretion import discreet
from betaearth.storage.s3_errors import s3_errors

if TYPE_CHECKING:
    from botocore.client import BaseClient
    from botocore.session import Session

CONNECTIONS = 128
"""Kept open: one for each file that may be read at once."""
CONNECT_SECONDS = 10
READ_SECONDS = 60
ATTEMPTS = 5
"""Of a request, by botocore, over some seconds."""
_YES = {"YES", "TRUE", "ON", "1"}


class S3Options(BaseModel):
    """Where S3 is and how its buckets are addressed; None leaves a choice to the AWS environment and configuration."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    endpoint: Annotated[str, Field(pattern=r"^https?://[^/?#@]+(/[^?#]*)?$")] | None = None
    """URL of the service, such as `http://minio:9000`; None: `AWS_ENDPOINT_URL_S3`, `AWS_ENDPOINT_URL`, or AWS."""
    region: str | None = None
    """Region of the bucket; None: `AWS_REGION`, `AWS_DEFAULT_REGION`, the profile's, or us-east-1."""
    profile: str | None = None
    """Profile of the AWS configuration files; None: `AWS_PROFILE`, or the default one."""
    addressing: Literal["auto", "path", "virtual"] = "auto"
    """Where the bucket's name stands: in the path or the host name; auto: in the path of any endpoint but AWS's."""
    multipart_mib: int = Field(default=64, ge=5, le=4096)
    """MiB from which a file is uploaded in parts of that size; below, the service itself vouches for its sha256."""


def s3_client(options: S3Options | None = None, *, public: bool = False) -> BaseClient:
    """A client that threads share; another one after a change of the AWS environment, and in a forked process.

    `AWS_REQUEST_PAYER=requester` and `AWS_NO_SIGN_REQUEST=YES` are obeyed as GDAL does.

    Args:
        options: where S3 is.
        public: whether requests shall go unsigned where there are no credentials, which is enough for public buckets.

    Raises:
        ConfigError: there is no such profile, or the AWS environment names no endpoint or region that could be one.
    """
    with s3_errors("S3"):
        try:
            return _client(options or S3Options(), public, os.getpid(), _environment())
        except ValueError as error:
            raise ConfigError(
                f"S3 cannot be used as the AWS environment says: {discreet(str(error))}; an endpoint is http://host:port"
            ) from error


def s3_session(options: S3Options) -> Session:
    """The botocore session of these options: where credentials and region are found.

    Raises:
        ConfigError: there is no such profile.
    """
    from botocore.session import Session

    with s3_errors("S3"):
        return Session(profile=options.profile)


def is_unsigned(client: BaseClient) -> bool:
    """Whether a client sends its requests without a signature."""
    from botocore import UNSIGNED

    return client.meta.config.signature_version is UNSIGNED


def _goes_unsigned(session: Session, *, public: bool) -> bool:
    if os.environ.get("AWS_NO_SIGN_REQUEST", "").upper() in _YES:
        return True
    return public and session.get_credentials() is None


def _environment() -> tuple[object, ...]:
    """Everything by whose change other credentials or another service may be meant."""
    files = (
        os.environ.get("AWS_CONFIG_FILE", "~/.aws/config"),
        os.environ.get("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials"),
    )
    return (
        *(_written(file) for file in files),
        frozenset((name, os.environb[name]) for name in os.environb if name.startswith(b"AWS_")),  # bytes: not decoded
    )


def _written(file: str) -> int | None:
    try:
        return Path(file).expanduser().stat().st_mtime_ns
    except (OSError, RuntimeError):  # a pod's user may have no home
        return None


@lru_cache(maxsize=16)
def _client(options: S3Options, public: bool, _process: int, _environment: tuple[object, ...]) -> BaseClient:
    from botocore import UNSIGNED
    from botocore.config import Config

    session = s3_session(options)
    config = Config(
        retries={"mode": "standard", "total_max_attempts": _attempts(session)},
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        max_pool_connections=CONNECTIONS,
        s3=None if options.addressing == "auto" else {"addressing_style": options.addressing},
        signature_version=UNSIGNED if _goes_unsigned(session, public=public) else None,
    )
    client = session.create_client(
        "s3",
        region_name=options.region or session.get_config_variable("region") or os.environ.get("AWS_REGION"),
        endpoint_url=options.endpoint,
        config=config,
    )
    client.meta.events.register("before-call.s3", _name_payer)
    return client


def _attempts(session: Session) -> int:
    asked = session.get_config_variable("max_attempts")
    return ATTEMPTS if asked is None else int(asked)


def _name_payer(params: dict[str, Any], **_: object) -> None:
    if payer := os.environ.get("AWS_REQUEST_PAYER"):
        params["headers"]["x-amz-request-payer"] = payer
