"""HTTP without TLS, for clients that are made again and again."""

import ssl
from typing import Final

PLAIN: Final = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""As `verify` of httpx, which else reads all trusted certificates for each client: 50 ms of processor."""
