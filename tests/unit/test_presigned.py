"""URLs that are signed here."""

from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr, ValidationError

from app.clients.s3.presigned import Presigner, presigner
from app.settings import Settings


def test_a_signature_is_the_one_of_amazons_own_example() -> None:
    # "Authenticating Requests: Using Query Parameters", the example of S3's API reference; its keys are
    # Amazon's published ones.
    amazon = Presigner(
        "https://examplebucket.s3.amazonaws.com",
        "us-east-1",
        "AKIAIOSFODNN7EXAMPLE",
        SecretStr("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
    )
    url = amazon.sign(
        "GET",
        "/test.txt",
        headers={},
        query={},
        lasts=timedelta(days=1),
        now=datetime(2013, 5, 24, tzinfo=UTC),
    )
    assert url == (
        "https://examplebucket.s3.amazonaws.com/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256"
        "&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request"
        "&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host"
        "&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
    )


@pytest.mark.parametrize(
    ("public", "secure", "origin"),
    [
        ("", False, "http://minio:9000"),
        ("", True, "https://minio:9000"),
        ("s3.example.org", True, "https://s3.example.org"),
        ("https://s3.example.org:443/", False, "https://s3.example.org"),
        ("http://s3.example.org:80", True, "http://s3.example.org"),
        ("127.0.0.1:8333", False, "http://127.0.0.1:8333"),
        ("http://[::1]:9000", True, "http://[::1]:9000"),
    ],
)
def test_urls_name_the_address_that_clients_reach(public: str, *, secure: bool, origin: str) -> None:
    settings = Settings(minio_endpoint="minio:9000", minio_secure=secure, s3_public_endpoint=public)
    assert presigner(settings).origin == origin


@pytest.mark.parametrize("named", ["ftp://host", "host/path", "http://", "a b", "host:port", "u:p@host"])
def test_what_is_no_address_is_refused(named: str) -> None:
    with pytest.raises(ValidationError, match="s3_public_endpoint"):
        Settings(s3_public_endpoint=named)


def test_the_secret_is_in_no_text() -> None:
    settings = Settings(minio_secret_key=SecretStr("s3cr3t"))
    assert "s3cr3t" not in repr(presigner(settings))
