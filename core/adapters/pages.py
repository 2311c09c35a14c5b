"""Web pages of allowed hosts, fetched so that no inner address can be reached."""

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass

import httpx

from core.errors import Rejected, Unavailable

TIMEOUT_S = 20.0
MAX_PAGE_BYTES = 20_000_000
MAX_REDIRECTS = 5
_PORTS = {"http": 80, "https": 443}
_REDIRECTS = frozenset({301, 302, 303, 307, 308})

Resolve = Callable[[str, int], Awaitable[tuple[str, ...]]]
"""The IP addresses of a host."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A fetched page: its address after redirects, its media type without parameters.

    `charset` is empty where the site does not tell it.
    """

    url: str
    media_type: str
    charset: str
    data: bytes


async def addresses_of(host: str, port: int) -> tuple[str, ...]:
    """Ask the system's resolver once."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return tuple(str(entry[4][0]) for entry in found)


def is_public(address: str) -> bool:
    """Whether an IP address is one of the open internet, also when it wraps an IPv4 one."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if inner is not None:
            return is_public(str(inner))
        # 64:ff9b::/96 hands the last four bytes to a gateway that speaks IPv4 (RFC 6052).
        if ip in ipaddress.ip_network("64:ff9b::/96"):
            return is_public(str(ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)))
    return ip.is_global and not ip.is_multicast


class Pages:
    """Fetches pages of the hosts that the operator allowed.

    A host is resolved once; every address must be public, and the connection goes to the address
    that was checked, so that a name which answers differently the second time gains nothing.
    """

    def __init__(
        self,
        allowed_hosts: Collection[str],
        *,
        resolve: Resolve = addresses_of,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """Allow exactly these host names; `resolve` and `transport` stand in for the network."""
        self._allowed = frozenset(host.strip().lower().rstrip(".") for host in allowed_hosts)
        self._resolve = resolve
        self._transport = transport

    async def fetch(self, url: str, media_types: Collection[str]) -> Page:
        """Fetch one page, following redirects within the allowed hosts.

        Raises:
            Rejected: the address, its host or what it serves is not allowed.
            Unavailable: the site does not answer now.
        """
        try:
            async with asyncio.timeout(TIMEOUT_S), self._client() as client:
                for _ in range(MAX_REDIRECTS + 1):
                    reply = await self._get(client, url, media_types)
                    if isinstance(reply, Page):
                        return reply
                    url = reply
        except (httpx.TransportError, TimeoutError, OSError) as error:
            raise Unavailable("web page", f"{url} does not answer") from error
        except httpx.HTTPError as error:
            raise Rejected(f"{url}: the site's answer cannot be read") from error
        raise Rejected(f"{url}: more than {MAX_REDIRECTS} redirects")

    def _client(self) -> httpx.AsyncClient:
        # `trust_env` would send the request to a proxy, which resolves the name anew.
        transport = self._transport or httpx.AsyncHTTPTransport(trust_env=False)
        return httpx.AsyncClient(transport=transport, trust_env=False, timeout=TIMEOUT_S)

    async def _get(
        self, client: httpx.AsyncClient, url: str, media_types: Collection[str]
    ) -> Page | str:
        """One hop: the page, or the address it redirects to."""
        parsed = self._checked(url)
        address = await self._public_address(parsed)
        request = client.build_request(
            "GET",
            parsed.copy_with(host=address, fragment=None),
            headers={"Host": parsed.netloc.decode("ascii"), "User-Agent": "dragoman"},
            # Certificates name the host, not the address.
            extensions={"sni_hostname": parsed.raw_host.decode("ascii")},
        )
        response = await client.send(request, stream=True)
        try:
            if response.status_code in _REDIRECTS and "location" in response.headers:
                return str(parsed.join(response.headers["location"]))
            media_type = _media_type(response, url, media_types)
            data = await _within_limit(response, url)
            charset = response.charset_encoding or ""
            return Page(url=url, media_type=media_type, charset=charset, data=data)
        finally:
            await response.aclose()

    def _checked(self, url: str) -> httpx.URL:
        try:
            parsed = httpx.URL(url)
        except (httpx.InvalidURL, ValueError) as error:
            raise Rejected(f"{url}: not a web address") from error
        if parsed.scheme not in _PORTS:
            raise Rejected(f"{url}: only http and https addresses can be read")
        if (parsed.port or _PORTS[parsed.scheme]) != _PORTS[parsed.scheme]:
            raise Rejected(f"{url}: only ports 80 and 443 can be read")
        if parsed.userinfo:
            raise Rejected(f"{url}: an address with a user name cannot be read")
        host = parsed.raw_host.decode("ascii").lower().rstrip(".")
        if host not in self._allowed:
            raise Rejected(
                f"{url}: pages of {host or 'no host'} are not allowed;"
                " add the host to DRAGOMAN_KNOWLEDGE_HOSTS if it is yours"
            )
        return parsed

    async def _public_address(self, url: httpx.URL) -> str:
        host = url.raw_host.decode("ascii")
        found = await self._resolve(host, url.port or _PORTS[url.scheme])
        if not found:
            raise Unavailable("web page", f"{host} has no address")
        if not all(is_public(address) for address in found):
            raise Rejected(f"{url}: {host} leads to an inner address; refused")
        return found[0]


def _media_type(response: httpx.Response, url: str, allowed: Collection[str]) -> str:
    if response.status_code in {429, 500, 502, 503, 504}:
        raise Unavailable("web page", f"{url} answers {response.status_code}")
    if response.status_code != 200:
        raise Rejected(f"{url}: the site answers {response.status_code}")
    media_type: str = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type not in allowed:
        raise Rejected(f"{url}: {media_type or 'a page of no stated type'} cannot be read")
    return media_type


async def _within_limit(response: httpx.Response, url: str) -> bytes:
    """Read the body piece by piece, since neither its length nor its packing can be trusted."""
    data = bytearray()
    async for piece in response.aiter_bytes(1 << 16):
        data += piece
        if len(data) > MAX_PAGE_BYTES:
            raise Rejected(f"{url}: larger than {MAX_PAGE_BYTES // 1_000_000} MB")
    return bytes(data)
