"""Tell somebody how a night went: one small JSON by HTTPS, signed, tried again, and never worth a night."""

from __future__ import annotations

import ipaddress
import json
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from http.client import HTTPException
from importlib.metadata import version
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, OpenerDirector, ProxyHandler, Request, build_opener

from jobs import progress
from model_registry.errors import NightjarError, UsageError
from pipelines.serving.webhooks import digest

TIMEOUT_S = 10.0
PAUSES_S = (1.0, 4.0, 16.0)  # before the second, third and fourth attempt
AGAIN = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS}  # beside all from 500 on


class WebhookError(NightjarError):
    """The message did not arrive."""


class _NoRedirects(HTTPRedirectHandler):
    """What was meant for one address goes to no other."""

    def redirect_request(self, *_: Any) -> None:
        """Leave the answer as it is: an error."""


@dataclass(frozen=True)
class Webhook:
    """An address that takes JSON. The address is a secret too: errors name its host only."""

    url: str = field(repr=False)
    secret: str | None = field(default=None, repr=False)
    timeout_s: float = TIMEOUT_S
    pauses_s: Sequence[float] = PAUSES_S

    def __post_init__(self) -> None:
        """Refuse what would cross a network in the clear."""
        parts = urlsplit(self.url)
        if parts.scheme not in ("https", "http") or not parts.hostname:
            raise UsageError(f"webhook is no address of {parts.scheme or 'no scheme'}, wanted https://host/...")
        if parts.scheme == "http" and not _is_loopback(parts.hostname):
            raise UsageError(f"webhook is http://{parts.hostname}/..., wanted https (http on this machine only)")

    @property
    def host(self) -> str:
        """What may be said aloud."""
        return urlsplit(self.url).hostname or ""

    def send(self, payload: Mapping[str, Any]) -> None:
        """Post JSON; raises WebhookError when every attempt failed or the answer says that no other will help."""
        body = json.dumps(payload, ensure_ascii=False).encode()
        headers, opener = self._headers(body), self._opener()
        for pause_s in (*self.pauses_s, None):
            fault = self._post(opener, body, headers)
            if fault is None:
                return
            cause, hopeless = fault
            if hopeless or pause_s is None:
                raise WebhookError(f"webhook at {self.host} did not take the message: {cause}")
            time.sleep(pause_s)

    def _post(self, opener: OpenerDirector, body: bytes, headers: Mapping[str, str]) -> tuple[str, bool] | None:
        """Try once; return None, or the cause and whether another attempt is pointless."""
        request = Request(self.url, body, dict(headers), method="POST")  # noqa: S310  the scheme was checked
        try:
            with opener.open(request, timeout=self.timeout_s):
                return None
        except HTTPError as error:
            with error:
                return f"status {error.code}", error.code < HTTPStatus.INTERNAL_SERVER_ERROR and error.code not in AGAIN
        except URLError as error:
            return str(error.reason), False
        except (OSError, HTTPException) as error:
            return str(error) or type(error).__name__, False

    def _headers(self, body: bytes) -> dict[str, str]:
        """Name the message, the same over all attempts, and sign the time with the body, so that no copy passes."""
        sent = str(int(time.time()))
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "User-Agent": f"nightjar/{version('nightjar')}",
            "X-Nightjar-Delivery": str(uuid.uuid4()),
            "X-Nightjar-Timestamp": sent,
        }
        if self.secret:
            headers["X-Nightjar-Signature"] = f"sha256={signature(self.secret, sent, body)}"
        return headers

    def _opener(self) -> OpenerDirector:
        proxies = [ProxyHandler({})] if _is_loopback(self.host) else []
        return build_opener(_NoRedirects, *proxies)


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """Return HMAC-SHA256 (RFC 2104) of `timestamp.body` in hexadecimal digits, as a receiver computes it."""
    return digest(secret.encode(), timestamp.encode(), body).hex()


def tell(webhook: Webhook | None, payload: Mapping[str, Any]) -> None:
    """Send if there is anybody to tell; a webhook that fails is a warning."""
    if webhook is None:
        return
    try:
        webhook.send(payload)
    except WebhookError as error:
        progress.say(f"warning: {error}")


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
