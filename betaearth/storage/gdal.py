"""What GDAL must know to read a store as the rest of the project does.

Plain configuration, so that no raster library is needed here. rasterio takes credentials from boto3 alone when they are
given to its `Env`; set within one they are taken as they are:

    with rasterio.Env():
        rasterio.env.setenv(**gdal_options(store.uri, options))
        with rasterio.open(store.href(key)) as file: ...
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from betaearth.storage.s3_client import S3Options, is_unsigned, s3_client, s3_session
from betaearth.storage.s3_errors import s3_errors
from betaearth.storage.s3_uri import parse_s3_uri

if TYPE_CHECKING:
    from botocore.credentials import ReadOnlyCredentials

READING = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "GDAL_INGESTED_BYTES_AT_OPEN": "32768",
    "GDAL_HTTP_MERGE_CONSECUTIVE_RANGES": "YES",
    "GDAL_HTTP_MULTIPLEX": "YES",
    "GDAL_HTTP_MAX_RETRY": "4",
    "GDAL_HTTP_RETRY_DELAY": "0.5",
    "GDAL_HTTP_CONNECTTIMEOUT": "10",
    "GDAL_HTTP_TIMEOUT": "60",
    "VSI_CACHE": "TRUE",
    "CPL_VSIL_CURL_ALLOWED_EXTENSIONS": ".tif,.png",
}
"""Nothing beside the file is looked for, its header comes with the first request, and blips are met by asking again."""


def gdal_options(uri: str, options: S3Options | None = None, *, public: bool = False) -> dict[str, str]:
    """Configuration with which GDAL reads what lies below a URI: from the same service, as the same user.

    Temporary credentials are those of this moment: call it anew for each file, or every few minutes.

    Args:
        uri: of a store or an object; for what is not on S3 it says how files are read, and nothing of S3.
        options: where S3 is.
        public: whether nothing is signed where there are no credentials.

    Raises:
        ConfigError: there is no such profile, or no credentials.
        TransientError: the credentials cannot be had now.
    """
    if not uri.startswith("s3://"):
        return dict(READING)
    chosen = options or S3Options()
    bucket, _ = parse_s3_uri(uri)
    with s3_errors(uri):
        client = s3_client(chosen, public=public)
        # Whether botocore puts the bucket into the host's name shows in an address that it makes.
        sample = urlsplit(client.generate_presigned_url("head_bucket", Params={"Bucket": bucket}))
        credentials = None if is_unsigned(client) else s3_session(chosen).get_credentials()
        frozen = credentials.get_frozen_credentials() if credentials else None
    endpoint = urlsplit(client.meta.endpoint_url)
    return {
        **READING,
        "AWS_S3_ENDPOINT": endpoint.netloc + endpoint.path.rstrip("/"),
        "AWS_HTTPS": "YES" if endpoint.scheme == "https" else "NO",
        "AWS_VIRTUAL_HOSTING": "TRUE" if sample.netloc.startswith(f"{bucket}.") else "FALSE",
        "AWS_REGION": client.meta.region_name,
        "AWS_DEFAULT_REGION": client.meta.region_name,
        **_user(frozen),
        **({"AWS_REQUEST_PAYER": payer} if (payer := os.environ.get("AWS_REQUEST_PAYER")) else {}),
    }


def _user(credentials: ReadOnlyCredentials | None) -> dict[str, str]:
    if credentials is None:
        return {"AWS_NO_SIGN_REQUEST": "YES"}
    return {
        "AWS_NO_SIGN_REQUEST": "NO",
        "AWS_ACCESS_KEY_ID": credentials.access_key,
        "AWS_SECRET_ACCESS_KEY": credentials.secret_key,
        "AWS_SESSION_TOKEN": credentials.token or "",
    }
