"""What boto3 says, translated; what a server really says is in `test_objects` and `test_s3`."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from betaearth.errors import ConfigError, DataError, TransientError
from betaearth.storage.s3_client import s3_client
from betaearth.storage.s3_errors import Done, Refusal, refusal_of, s3_errors


def answer(status: int, code: str) -> ClientError:
    said = {"Error": {"Code": code, "Message": ""}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(said, "PutObject")


@pytest.mark.parametrize(
    ("status", "code", "error", "message"),
    [
        (503, "SlowDown", TransientError, "cannot answer now"),
        (500, "InternalError", TransientError, "cannot answer now"),
        (502, "502", TransientError, "cannot answer now"),
        (429, "TooFast", TransientError, "cannot answer now"),
        (400, "ExpiredToken", TransientError, "expired"),
        (400, "BadDigest", TransientError, "other bytes"),
        (409, "ConditionalRequestConflict", TransientError, "another wrote it"),
        (403, "AccessDenied", ConfigError, r"may not be written \(AccessDenied\)"),
        (403, "Unheard", ConfigError, r"may not be written \(Unheard\)"),
        (401, "401", ConfigError, "may not be written"),
        (403, "RequestTimeTooSkewed", ConfigError, "clock"),
        (400, "InvalidIdentityToken", ConfigError, "identity provider"),
        (400, "IDPCommunicationError", TransientError, "identity provider does not answer"),
        (301, "PermanentRedirect", ConfigError, "another region"),
        (400, "AuthorizationHeaderMalformed", ConfigError, "BETAEARTH_S3__REGION"),
        (501, "NotImplemented", ConfigError, "does not know how"),
        (404, "NoSuchBucket", ConfigError, "no such bucket"),
        (404, "NoSuchKey", DataError, "is not there"),
        (404, "404", DataError, "is not there"),
        (416, "InvalidRange", DataError, "ends before"),
    ],
)
def test_what_is_known_is_translated(status: int, code: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=f"^s3://bucket/key.*{message}"), s3_errors("s3://bucket/key", "written"):
        raise answer(status, code)


@pytest.mark.parametrize(
    ("status", "code"), [(409, "OperationAborted"), (404, "NoSuchUpload"), (400, "Unheard"), (0, "")]
)
def test_what_is_unknown_passes_untouched(status: int, code: str) -> None:
    error = answer(status, code)
    with pytest.raises(ClientError) as raised, s3_errors("s3://bucket/key", "written"):
        raise error
    assert raised.value is error


def test_what_was_refused_is_told_with_the_action_that_a_policy_lacks() -> None:
    said = set()
    for done in get_args(Done):
        with pytest.raises(ConfigError, match=f"may not be {done}") as refused, s3_errors("s3://bucket/key", done):
            raise answer(403, "AccessDenied")
        said.update(re.findall(r"must allow (s3:\w+)", str(refused.value)))
    assert said == {"s3:GetObject", "s3:PutObject", "s3:ListBucket", "s3:DeleteObject"}


def test_a_refusal_is_known_by_what_it_refuses() -> None:
    with pytest.raises(ConfigError) as refused, s3_errors("s3://bucket/key", "written"):
        raise answer(403, "AccessDenied")
    assert refusal_of(refused.value) == Refusal("AccessDenied", 403, "PutObject")
    assert refusal_of(ConfigError("of a folder")) is None


def test_a_signature_does_not_get_into_a_message() -> None:
    with pytest.raises(TransientError) as raised, s3_errors("s3://bucket/key"):
        raise EndpointConnectionError(endpoint_url="https://host/key?X-Amz-Signature=secret")
    assert "https://host/key" in str(raised.value)
    assert "secret" not in str(raised.value)


def test_a_configuration_that_cannot_be_read_is_a_matter_of_set_up(
    s3_environment: Callable[..., dict[str, str]], tmp_path: Path
) -> None:
    (tmp_path / "config").write_text("no section\n")
    s3_environment("http://127.0.0.1:9", AWS_CONFIG_FILE=str(tmp_path / "config"))
    with pytest.raises(ConfigError, match=r"config.*AWS_CONFIG_FILE"):
        s3_client()
