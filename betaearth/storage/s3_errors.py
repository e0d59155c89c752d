"""What boto3 says about objects, in the project's three errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from betaearth.errors import ConfigError, DataError, TransientError
from betaearth.storage.discretion import discreet

if TYPE_CHECKING:
    from botocore.exceptions import ClientError

MISSING = frozenset({"NoSuchKey", "NoSuchVersion", "404", "NotFound"})
CONFLICT = "ConditionalRequestConflict"
"""Two writes under conditions, or one and a deletion, met."""

_EXPIRED = {"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"}
_THROTTLED = {
    "SlowDown",
    "Throttling",
    "ThrottlingException",
    "RequestTimeout",
    "RequestTimeTooSlow",
    "TooManyRequests",
    "429",
}
_DAMAGED = {"BadDigest", "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch", "IncompleteBody"}
_REFUSED = {"AccessDenied", "InvalidAccessKeyId", "401", "403", "Forbidden"}
Done = Literal["read", "written", "listed", "deleted"]
"""What was to be done with an object."""
_NEEDS: dict[Done, str] = {
    "written": "s3:PutObject",
    "deleted": "s3:DeleteObject",
    "listed": "s3:ListBucket",
    "read": "s3:GetObject, and s3:ListBucket, or what is not there looks forbidden",
}
"""What a policy must allow, by what is done."""
_ELSEWHERE = {"PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "301"}

_MEANINGS: tuple[tuple[set[str] | frozenset[str], type[Exception], str], ...] = (
    ({"NoSuchBucket"}, ConfigError, "{uri}: there is no such bucket; make it, or name another"),
    (MISSING, DataError, "{uri} is not there"),
    ({"InvalidRange", "416"}, DataError, "{uri} is corrupt: it ends before what is asked for"),
    (_EXPIRED, TransientError, "{uri}: the credentials have expired ({code}); renewed ones will do"),
    (_DAMAGED, TransientError, "{uri}: other bytes arrived than were sent ({code})"),
    ({CONFLICT}, TransientError, "{uri}: another wrote it at the same time ({code})"),
    (
        {"InvalidIdentityToken"},
        ConfigError,
        "{uri} may not be {done} ({code}): the identity provider and the role that AWS_ROLE_ARN names must fit the web "
        "identity token",
    ),
    (
        {"IDPCommunicationError"},
        TransientError,
        "{uri}: the credentials cannot be had now: the identity provider does not answer ({code})",
    ),
    ({"RequestTimeTooSkewed"}, ConfigError, "{uri} may not be {done} ({code}): set the clock of this machine"),
    (
        _ELSEWHERE,
        ConfigError,
        "{uri} is in another region than asked for ({code}): set BETAEARTH_S3__REGION or AWS_DEFAULT_REGION",
    ),
    (
        {"NotImplemented", "501"},
        ConfigError,
        "{uri} cannot be {done}: the service does not know how ({code}); take one that does",
    ),
    (_THROTTLED, TransientError, "{uri}: the server cannot answer now ({status} {code})"),
    (
        {"SignatureDoesNotMatch"},
        ConfigError,
        "{uri} may not be {done} ({code}): the secret key is not that of the key id, or this machine's clock is wrong",
    ),
    (
        _REFUSED,
        ConfigError,
        "{uri} may not be {done} ({code}): check the credentials and their policy, which must allow {needs}",
    ),
)
"""Codes or HTTP statuses, what they are to us, and what is said of them; the first that fits counts."""


@dataclass(frozen=True)
class Refusal:
    """What S3 said, and of what."""

    code: str
    """By which it names the error; of a HEAD its status."""
    status: int
    """HTTP status; 0 where there is none."""
    request: str
    """Operation that was refused, as boto3 names it: `ListObjectsV2`."""


def refusal_of(error: BaseException) -> Refusal | None:
    """Tell what S3 said that one of our errors stands for; None where it stands for something else."""
    from botocore.exceptions import ClientError

    cause = error.__cause__
    if not isinstance(cause, ClientError):
        return None
    return Refusal(code_of(cause), status_of(cause), cause.operation_name)


def code_of(error: ClientError) -> str:
    """The code by which S3 names an error; HEAD answers have their status alone."""
    return str(error.response.get("Error", {}).get("Code", ""))


def status_of(error: ClientError) -> int:
    """HTTP status of the answer; 0 where there is none."""
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


@contextmanager
def s3_errors(uri: str, done: Done = "read") -> Iterator[None]:
    """Translate what boto3 says about an object; what it does not know passes untouched.

    Args:
        uri: how messages name the object.
        done: what was to be done with it.

    Raises:
        DataError: there is no such object.
        ConfigError: there is no such bucket, no permission, or no credentials, or the service cannot do it.
        TransientError: throttled, an expired token, credentials that a server gives out but not now, a server's fault,
            bytes that arrived as others, or no connection.
    """
    from botocore import exceptions

    try:
        yield
    except exceptions.ClientError as error:
        translated = _translated(error, uri, done)
        if translated is None:
            raise
        raise translated from error
    except (
        exceptions.NoCredentialsError,
        exceptions.PartialCredentialsError,
        exceptions.ProfileNotFound,
        exceptions.SSOError,
    ) as error:
        raise ConfigError(f"{uri} cannot be {done} without credentials: {error}") from error
    except exceptions.ConfigParseError as error:
        raise ConfigError(f"{uri} cannot be {done}: {error}; mend it, or let AWS_CONFIG_FILE name another") from error
    except (
        exceptions.CredentialRetrievalError,
        exceptions.MetadataRetrievalError,
        exceptions.TokenRetrievalError,
    ) as error:
        raise TransientError(f"{uri}: the credentials cannot be had now: {error}") from error
    except (
        exceptions.ConnectionError,
        exceptions.FlexibleChecksumError,
        exceptions.HTTPClientError,
        exceptions.IncompleteReadError,
        exceptions.ResponseStreamingError,
    ) as error:
        raise TransientError(f"{uri}: no connection, or it broke: {discreet(str(error))}") from error


def _translated(error: ClientError, uri: str, done: Done) -> Exception | None:
    code, status = code_of(error), status_of(error)
    # A code says more than the status: 404 is a missing bucket as well as a missing object.
    for said in (code, str(status)):
        for codes, kind, sentence in _MEANINGS:
            if said in codes and not (said == "404" and code not in MISSING):
                return kind(sentence.format(uri=uri, done=done, code=code, status=status, needs=_NEEDS[done]))
    if status >= 500:
        return TransientError(f"{uri}: the server cannot answer now ({status} {code})")
    return None
