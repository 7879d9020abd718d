"""URLs that let their holder write one object or one part, signed here: the server is not asked.

AWS Signature Version 4 in query parameters. minio's client makes such URLs too, but signs no header besides
the host; here the size and our mark are signed, so that nothing else can be written with a URL.
https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
"""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import quote, urlencode, urlsplit

from pydantic import SecretStr

from app.settings import Settings

ALGORITHM: Final = "AWS4-HMAC-SHA256"

DEFAULT_PORTS: Final = {"http": ":80", "https": ":443"}
"""Clients leave these out of `Host`, which is signed."""


@dataclass(frozen=True)
class Presigner:
    """Signs URLs of one server.

    Attributes:
        origin: where clients reach it, such as `https://s3.example.org`.
    """

    origin: str
    region: str
    access_key: str
    secret_key: SecretStr

    def sign(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str],
        query: Mapping[str, str],
        lasts: timedelta,
        now: datetime,
    ) -> str:
        """Return a URL that is good for one kind of request.

        Args:
            method: such as `PUT`.
            path: begins with a slash.
            headers: that the request must have, besides the host.
            query: parameters that are part of the URL.
            lasts: at most 7 days.
            now: from when on.
        """
        at = now.astimezone(UTC)
        scope = f"{at:%Y%m%d}/{self.region}/s3/aws4_request"
        canonical = {name.lower(): " ".join(value.split()) for name, value in headers.items()}
        signed = dict(sorted((canonical | {"host": urlsplit(self.origin).netloc}).items()))
        names = ";".join(signed)
        parameters = urlencode(
            sorted(
                {
                    **query,
                    "X-Amz-Algorithm": ALGORITHM,
                    "X-Amz-Credential": f"{self.access_key}/{scope}",
                    "X-Amz-Date": f"{at:%Y%m%dT%H%M%SZ}",
                    "X-Amz-Expires": str(int(lasts.total_seconds())),
                    "X-Amz-SignedHeaders": names,
                }.items()
            ),
            quote_via=quote,
            safe="-_.~",
        )
        where = quote(path, safe="/-_.~")
        lines = "".join(f"{name}:{value}\n" for name, value in signed.items())
        request = f"{method}\n{where}\n{parameters}\n{lines}\n{names}\nUNSIGNED-PAYLOAD"
        digest = hashlib.sha256(request.encode()).hexdigest()
        text = f"{ALGORITHM}\n{at:%Y%m%dT%H%M%SZ}\n{scope}\n{digest}"
        signature = _hmac(self._key(scope), text).hex()
        return f"{self.origin}{where}?{parameters}&X-Amz-Signature={signature}"

    def _key(self, scope: str) -> bytes:
        key = b"AWS4" + self.secret_key.get_secret_value().encode()
        for part in scope.split("/"):
            key = _hmac(key, part)
        return key


def presigner(settings: Settings) -> Presigner:
    """Return who signs URLs for the address at which clients reach the S3 server."""
    named = settings.s3_public_endpoint or settings.minio_endpoint
    scheme, _, host = named.rpartition("://")
    scheme = scheme or ("https" if settings.minio_secure else "http")
    host = host.rstrip("/").removesuffix(DEFAULT_PORTS[scheme])
    return Presigner(
        f"{scheme}://{host}", settings.minio_region, settings.minio_access_key, settings.minio_secret_key
    )


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")
