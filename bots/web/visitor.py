"""Who is chatting: a signed cookie, since nobody has to log in to ask."""

import hashlib
import secrets
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from urllib.parse import urlsplit

from itsdangerous import BadData, URLSafeTimedSerializer
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

MAX_AGE_S = 30 * 24 * 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Visitor:
    """A browser; `number` counts its conversations, `language` is the one it picked if any."""

    id: str
    number: int = 1
    language: str | None = None

    @property
    def place(self) -> str:
        """Where the replies of the current conversation go."""
        return f"{self.id}.{self.number}"

    @property
    def conversation(self) -> str:
        """A name for the current conversation that gives no access to it."""
        return hashlib.sha256(self.place.encode()).hexdigest()[:16]


def new_visitor() -> Visitor:
    """Somebody we have not seen before."""
    return Visitor(id=secrets.token_hex(16))


class Cookies:
    """Hands visitors their cookie and knows them by it again."""

    def __init__(self, secret: str | bytes, *, framed: bool) -> None:
        """Sign with `secret`, which every replica must share; `framed`: other sites show us."""
        self._framed = framed
        self._signer = URLSafeTimedSerializer(
            secret, salt="dragoman.web.visitor", signer_kwargs={"digest_method": hashlib.sha256}
        )

    def read(self, request: Request) -> Visitor | None:
        """The visitor; None without a cookie, or with one that is forged or too old."""
        try:
            visitor_id, number, language = self._signer.loads(
                request.cookies.get(_name(request), ""), max_age=MAX_AGE_S
            )
        except (BadData, ValueError, TypeError):
            return None
        return Visitor(id=visitor_id, number=number, language=language)

    def write(self, request: Request, response: Response, visitor: Visitor) -> None:
        """Set the cookie, good for another 30 days."""
        is_secure = request.url.scheme == "https"
        # In a frame of another site no browser keeps a Lax cookie. That nobody else's page uses it
        # is seen to by `refuse_other_sites`, not by SameSite.
        in_frames = self._framed and is_secure
        response.set_cookie(
            _name(request),
            str(self._signer.dumps([visitor.id, visitor.number, visitor.language])),
            max_age=MAX_AGE_S,
            secure=is_secure,
            httponly=True,
            samesite="none" if in_frames else "lax",
        )
        if in_frames:
            # Each site that shows us has a jar of its own, so none of them can follow the visitor.
            # Starlette's `partitioned` needs Python 3.14.
            name, cookie = response.raw_headers.pop()
            response.raw_headers.append((name, cookie + b"; Partitioned"))


def _name(request: Request) -> str:
    # The prefix keeps a page of a sibling domain from planting its own visitor on our customer.
    return "__Host-dragoman" if request.url.scheme == "https" else "dragoman"


def network(request: Request) -> str:
    """The network address that limits count by; all of an IPv6 customer's are one /64."""
    host = request.client.host if request.client else ""
    try:
        address = ip_address(host)
    except ValueError:
        return host
    if not isinstance(address, IPv6Address):
        return host
    # What was sent over IPv4 stands in one /64, all the world's.
    return str(address.ipv4_mapped or IPv6Address(int(address) >> 64 << 64))


def refuse_other_sites(request: Request) -> None:
    """Let only our own page, or a program that is no browser, change something.

    Source: Go 1.25, net/http.CrossOriginProtection, which explains why this needs no token.
    """
    site = request.headers.get("sec-fetch-site")
    if site in {"same-origin", "none"}:
        return
    origin = request.headers.get("origin")
    if site is None and (origin is None or urlsplit(origin).netloc == request.headers.get("host")):
        return
    raise HTTPException(403, "other_site")
