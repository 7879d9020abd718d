"""The S3 server (SeaweedFS): its command with every door but S3 closed, and a probe."""

import io
import sysconfig
from datetime import timedelta
from pathlib import Path
from typing import Final

import urllib3
from minio import Minio
from minio.error import S3Error
from urllib3.exceptions import HTTPError

from app.errors import Unavailable
from app.local.credentials import Credentials
from app.local.failures import CredentialsMissing
from app.local.ports import Ports
from app.local.program import Program

_SERVICE: Final = "S3"
_CANARY_BUCKET = "kadr-readiness"
_REFUSED = 403


def create_s3(*, folder: Path, sockets: Path, ports: Ports, credentials: Credentials) -> Program:
    """The server as a program.

    Raises:
        CredentialsMissing: a key is empty, and the server would be open to everyone.
    """
    if not (credentials.s3_access_key and credentials.s3_secret_key and credentials.s3_signing_key):
        raise CredentialsMissing
    data = folder / "data"
    data.mkdir(parents=True, exist_ok=True)
    weed = str(Path(sysconfig.get_path("scripts")) / "weed")
    return Program(
        name="s3",
        command=(weed, "-logtostderr=true", "-stderrthreshold=1", "server", *_flags(data, sockets, ports.s3)),
        environment=_environment(credentials),
        directory=folder,
        listens=ports.listening("s3"),
        probe=lambda: probe_s3(ports.s3, credentials),
        # A clean end takes 15 s, and no acknowledged object was ever lost by killing it.
        stop_wait=timedelta(seconds=2),
    )


def probe_s3(port: int, credentials: Credentials) -> None:
    """Return when the server keeps an object for us and refuses everybody else.

    Raises:
        Unavailable: it does not answer, yet, or lets in whoever comes.
    """
    pool = urllib3.PoolManager(timeout=urllib3.Timeout(connect=1, read=5), retries=False)
    address = f"127.0.0.1:{port}"
    keys = {"access_key": credentials.s3_access_key, "secret_key": credentials.s3_secret_key}
    try:
        if pool.request("GET", f"http://{address}/").status != _REFUSED:
            raise Unavailable(_SERVICE, "it does not refuse a caller without a key")
        client = Minio(address, **keys, secure=False, region="us-east-1", http_client=pool)
        if not client.bucket_exists(_CANARY_BUCKET):
            client.make_bucket(_CANARY_BUCKET)
        client.put_object(_CANARY_BUCKET, "canary", io.BytesIO(b"1"), 1)
    except (S3Error, HTTPError, OSError) as cause:
        raise Unavailable(_SERVICE, cause) from cause
    finally:
        pool.clear()


def _environment(credentials: Credentials) -> dict[str, str]:
    jwt = ("SIGNING", "SIGNING_READ", "FILER_SIGNING", "FILER_SIGNING_READ")
    return {
        "AWS_ACCESS_KEY_ID": credentials.s3_access_key,
        "AWS_SECRET_ACCESS_KEY": credentials.s3_secret_key,
        **{f"WEED_JWT_{name}_KEY": credentials.s3_signing_key for name in jwt},
        "GOMEMLIMIT": "384MiB",
        "GOGC": "50",
    }


def _flags(data: Path, sockets: Path, port: int) -> tuple[str, ...]:
    """Without `-disableHttp` anybody could read and delete every object through the other ports."""
    return (
        f"-dir={data}",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        f"-master.port={port + 1}",
        f"-master.port.grpc={port + 10_001}",
        f"-volume.port={port + 2}",
        f"-volume.port.grpc={port + 10_002}",
        "-filer=true",
        f"-filer.port={port + 3}",
        f"-filer.port.grpc={port + 10_003}",
        f"-filer.localSocket={sockets / 'filer.sock'}",
        "-filer.disableDirListing=true",
        "-s3=true",
        f"-s3.port={port}",
        f"-s3.port.grpc={port + 10_000}",
        f"-s3.localSocket={sockets / 's3.sock'}",
        "-s3.iam=false",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-s3.autoCreateBucket=false",
        "-s3.allowDeleteBucketNotEmpty=false",
        "-s3.cacheCapacityMB=0",
        "-s3.concurrentUploadLimitMB=128",
        "-master.telemetry=false",
        "-master.volumeSizeLimitMB=256",
        "-master.electionTimeout=1s",
        "-volume.max=0",
        "-volume.minFreeSpace=1",
        "-volume.preStopSeconds=0",
        "-volume.fileSizeLimitMB=256",
        "-disableHttp=true",
    )
