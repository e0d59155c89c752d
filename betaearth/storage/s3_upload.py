"""Uploading a file so that the service checks its bytes, in one request or in parts."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from betaearth.errors import TransientError
from betaearth.storage.s3_errors import CONFLICT, code_of, status_of

if TYPE_CHECKING:
    from botocore.client import BaseClient

SHA256 = "sha256"
"""Metadata of an object: hexadecimal digest of its bytes, by the word of whoever uploaded it."""

_MET_ITSELF = {"NoSuchUpload", CONFLICT}
"""Codes that a repeated request may get where its first sending was carried out."""


@dataclass(frozen=True)
class Upload:
    """A file as it is to be stored."""

    path: Path
    size: int
    """Bytes."""
    sha256: str
    """Hexadecimal digest of its bytes."""

    @classmethod
    def of(cls, path: Path) -> Upload:
        """Take the digest of a file."""
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256")
            return cls(path, file.tell(), digest.hexdigest())

    def send(self, client: BaseClient, target: Mapping[str, str], *, part_bytes: int) -> None:
        """Upload it unless there is such an object; whoever calls looks at what is there then.

        Args:
            client: of S3.
            target: bucket, key and headers.
            part_bytes: size from which it goes in parts of that size, so that a broken connection costs one part.

        Raises:
            TransientError: the file changed while it was read.
            ClientError: of botocore; `s3_errors` translates it.
        """
        from botocore.exceptions import ClientError

        try:
            if self.size > part_bytes:
                self._send_parts(client, target, part_bytes)
            else:
                self._send_whole(client, target)
        except ClientError as error:
            if status_of(error) != 412 and code_of(error) not in _MET_ITSELF:
                raise

    def _send_whole(self, client: BaseClient, target: Mapping[str, str]) -> None:
        with self.path.open("rb") as file:
            client.put_object(
                **target,
                Body=file,
                IfNoneMatch="*",
                Metadata={SHA256: self.sha256},
                ChecksumSHA256=base64.b64encode(bytes.fromhex(self.sha256)).decode(),
            )

    def _send_parts(self, client: BaseClient, target: Mapping[str, str], part_bytes: int) -> None:
        started = client.create_multipart_upload(
            **target, Metadata={SHA256: self.sha256}, ChecksumAlgorithm="SHA256", ChecksumType="COMPOSITE"
        )
        place = {"Bucket": target["Bucket"], "Key": target["Key"], "UploadId": started["UploadId"]}
        try:
            parts = [
                _send_part(client, place, number, data) for number, data in enumerate(self._parts(part_bytes), start=1)
            ]
            client.complete_multipart_upload(**place, MultipartUpload={"Parts": parts}, IfNoneMatch="*")
        except BaseException:
            _abort(client, place)
            raise

    def _parts(self, part_bytes: int) -> Iterator[bytes]:
        digest = hashlib.sha256()
        with self.path.open("rb") as file:
            while data := file.read(part_bytes):
                digest.update(data)
                yield data
        if digest.hexdigest() != self.sha256:
            raise TransientError(f"{self.path} changed while it was uploaded; nothing was stored")


def _send_part(client: BaseClient, place: Mapping[str, str], number: int, data: bytes) -> dict[str, Any]:
    checksum = base64.b64encode(hashlib.sha256(data).digest()).decode()
    done = client.upload_part(**place, PartNumber=number, Body=data, ChecksumSHA256=checksum)
    return {"PartNumber": number, "ETag": done["ETag"], "ChecksumSHA256": checksum}


def _abort(client: BaseClient, place: Mapping[str, str]) -> None:
    """Let the service forget the parts; where that fails too, its lifecycle rule for unfinished uploads does it."""
    from botocore.exceptions import BotoCoreError, ClientError

    with suppress(BotoCoreError, ClientError):
        client.abort_multipart_upload(**place)
