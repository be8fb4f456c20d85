"""Who may ask: tokens, and on loopback the Host and Origin headers, which a web page elsewhere cannot forge."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, Request
from fastapi.security import APIKeyCookie, HTTPAuthorizationCredentials, HTTPBearer

from unrain.errors import UnrainError
from unrain.serve.limits import Refused

COOKIE = "unrain_token"
SHORTEST_TOKEN = 16
_LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")

_bearer = HTTPBearer(auto_error=False, description="One of the tokens in UNRAIN_TOKENS.")
_cookie = APIKeyCookie(name=COOKIE, auto_error=False, description="The same token, as `POST /v1/session` sets it.")


@dataclass(frozen=True)
class Access:
    """Whom a service answers.

    tokens: any of them opens /v1 and /metrics; none means that everybody on this machine may. hosts: names that the
    Host header may have; empty means any. origins: pages elsewhere that may call (CORS).
    """

    tokens: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()

    def owner_of(self, token: str | None) -> str:
        """Whose jobs the holder of this token sees: a digest, or "" where no tokens are in use. `Refused` if wrong."""
        if not self.tokens:
            return ""
        given = _digest(token or "")
        # every token is compared, so that the time tells nothing about which of them came close
        matches = [hmac.compare_digest(given, _digest(each)) for each in self.tokens]
        if not any(matches):
            raise Refused(401, "a valid token is needed: send it as 'Authorization: Bearer TOKEN'")
        return given[:32]

    def check(self, host: str, origin: str | None) -> None:
        """Refuse a request under another name than ours (DNS rebinding), or that another site's page makes (CSRF)."""
        if self.hosts and _name(host) not in self.hosts:
            raise Refused(421, "this service does not answer under that host name; see --allow-host")
        if origin is not None and origin not in self.origins and urlsplit(origin).netloc != host:
            raise Refused(403, "pages of other sites may not use this service; see --allow-origin")


def access_for(bind: str, tokens: Sequence[str], hosts: Sequence[str], origins: Sequence[str]) -> Access:
    """The access of a service that listens on `bind`; `UnrainError` where that would be open to strangers."""
    short = [token for token in tokens if len(token) < SHORTEST_TOKEN]
    if short:
        raise UnrainError(f"a token in UNRAIN_TOKENS is shorter than {SHORTEST_TOKEN} characters; make a longer one")
    local = is_loopback(bind)
    if not local and not tokens:
        raise UnrainError(
            f"listening on {bind} lets others in, which needs tokens: set UNRAIN_TOKENS, or stay on 127.0.0.1"
        )
    names = (*_LOOPBACK_NAMES, *hosts) if local else tuple(hosts)
    return Access(tuple(tokens), tuple(name.lower() for name in names), tuple(origins))


def is_loopback(bind: str) -> bool:
    """Whether only this machine reaches an address."""
    try:
        return ipaddress.ip_address(bind).is_loopback
    except ValueError:
        return bind == "localhost"


async def owner(
    request: Request,
    bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
    cookie: Annotated[str | None, Depends(_cookie)],
) -> str:
    """FastAPI's dependency: whose request this is. 401 without a valid token."""
    access: Access = request.app.state.access
    return access.owner_of(bearer.credentials if bearer else cookie)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _name(host: str) -> str:
    """The host name of a Host header, without port and brackets, in lower case."""
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""
