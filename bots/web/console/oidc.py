"""Signing in at the company's own provider, by OpenID Connect."""

import hmac
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from typing import Any

import httpx2
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.httpx_client import AsyncOAuth2Client
from itsdangerous import BadData, URLSafeTimedSerializer
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from starlette.responses import RedirectResponse, Response

from bots.proxies import proxy_for
from bots.web.console.needs import ConsoleNeeds, Provider
from bots.web.console.visit import Visit
from core.adapters.accounts import NewAccount
from core.errors import Rejected, Unavailable
from core.staff import Account, Role, tidy_login, tidy_name

CHANNEL = "oidc"
CALLBACK = "/desk/provider/back"
TIMEOUT_S = 10.0
LEEWAY_S = 60
AWAY_S = 600
# Signatures that only the provider can make; "none" and shared secrets are not among them.
ALGORITHMS = ("RS256", "PS256", "ES256", "EdDSA", "RS384", "RS512", "ES384", "ES512")


class NotVouched(Rejected):
    """The provider did not say who this is, or it is nobody of ours: "broken" or "unknown"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """What must come back unchanged from the provider, and where to go then."""

    state: str
    nonce: str
    verifier: str
    forward: str
    invitation: str

    @classmethod
    def begin(cls, *, forward: str, invitation: str) -> "Flow":
        """A new one."""
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        return cls(
            state=state, nonce=nonce, verifier=verifier, forward=forward, invitation=invitation
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Who the provider says this is; `email` only if it says that it has verified it."""

    subject: str
    name: str
    email: str = ""


class Oidc:
    """The authorization code flow with state, nonce and PKCE (RFC 7636, RFC 9700)."""

    def __init__(self, needs: ConsoleNeeds, provider: Provider) -> None:
        """Trust `provider` for the accounts of one workspace."""
        self._needs = needs
        self._provider = provider
        self._seal = URLSafeTimedSerializer(needs.secret, salt="dragoman.console.oidc")

    async def leave(self, visit: Visit, flow: Flow) -> Response:
        """Send the browser to the provider.

        Raises: Unavailable: the provider does not answer.
        """
        async with self._client(visit) as client:
            known = await self._discover(client)
            url, _state = client.create_authorization_url(
                known["authorization_endpoint"],
                state=flow.state,
                nonce=flow.nonce,
                code_verifier=flow.verifier,
            )
        response = RedirectResponse(url, 303, headers={"Cache-Control": "no-store"})
        secure = visit.request.url.scheme == "https"
        response.set_cookie(
            _cookie(visit),
            str(self._seal.dumps(asdict(flow))),
            max_age=AWAY_S,
            secure=secure,
            httponly=True,
            samesite="lax",
        )
        return response

    async def return_(self, visit: Visit) -> tuple[Flow, Person]:
        """Learn who came back.

        Raises:
            NotVouched: this browser did not leave from here, or the provider refused.
            Unavailable: the provider does not answer.
        """
        query = visit.request.query_params
        flow = self._flow(visit)
        issuer = query.get("iss", self._provider.issuer)
        same = hmac.compare_digest(query.get("state", "").encode(), flow.state.encode())
        if not same or issuer != self._provider.issuer or not query.get("code"):
            raise NotVouched("broken")
        async with self._client(visit) as client:
            known = await self._discover(client)
            try:
                token = await client.fetch_token(
                    known["token_endpoint"], code=query["code"], code_verifier=flow.verifier
                )
                keys = KeySet.import_key_set(
                    (await client.request("GET", known["jwks_uri"], withhold_token=True)).json()
                )
                claims = self._claims(str(token.get("id_token", "")), keys, flow.nonce)
            except (AuthlibBaseError, JoseError, KeyError, ValueError) as error:
                raise NotVouched("broken") from error
        return flow, _person(claims)

    async def account(self, visit: Visit, flow: Flow, person: Person) -> Account:
        """Whose session it will be.

        Raises: NotVouched, LinkSpent: nobody of ours.
        """
        ref = f"{self._provider.issuer} {person.subject}"
        known = await self._needs.accounts.for_identity(visit.workspace, CHANNEL, ref)
        if known is None:
            known = await self._welcome(visit, flow, person, ref)
        if known is None or known.disabled:
            raise NotVouched("unknown")
        return known

    def forget(self, visit: Visit, response: Response) -> Response:
        """Take the sealed cookie back: it is good for one return."""
        secure = visit.request.url.scheme == "https"
        response.delete_cookie(_cookie(visit), secure=secure, httponly=True)
        return response

    async def _welcome(self, visit: Visit, flow: Flow, person: Person, ref: str) -> Account | None:
        needs, workspace = self._needs, visit.workspace
        login = tidy_login(person.email) or tidy_login(person.subject)
        new = NewAccount(
            name=tidy_name(person.name) or login,
            role=self._provider.role or Role.VIEWER,
            language=visit.language,
            login=login,
        )
        invitation = await needs.invitations.look(workspace, flow.invitation)
        if invitation is not None and invitation.account is None:
            account = await needs.invitations.accept(workspace, flow.invitation, new)
            invited = await needs.accounts.get(workspace, account)
            return await needs.accounts.identify(workspace, CHANNEL, ref, invited or new)
        same, _hash = await needs.accounts.for_login(workspace, tidy_login(person.email))
        if same is not None:
            return await needs.accounts.identify(workspace, CHANNEL, ref, same)
        if self._provider.role is None:
            return None
        return await needs.accounts.identify(workspace, CHANNEL, ref, new)

    def _flow(self, visit: Visit) -> Flow:
        try:
            kept = self._seal.loads(visit.request.cookies.get(_cookie(visit), ""), max_age=AWAY_S)
            return Flow(**kept)
        except (BadData, TypeError) as error:
            raise NotVouched("broken") from error

    def _claims(self, token: str, keys: KeySet, nonce: str) -> Mapping[str, Any]:
        decoded = jwt.decode(token, keys, algorithms=ALGORITHMS)
        registry = jwt.JWTClaimsRegistry(
            leeway=LEEWAY_S,
            iss={"essential": True, "value": self._provider.issuer},
            aud={"essential": True, "value": self._provider.client_id},
            nonce={"essential": True, "value": nonce},
            sub={"essential": True},
            exp={"essential": True},
        )
        registry.validate(decoded.claims)
        if decoded.claims.get("azp", self._provider.client_id) != self._provider.client_id:
            raise ValueError("the token was made for another party")
        return decoded.claims

    @asynccontextmanager
    async def _client(self, visit: Visit) -> AsyncIterator[AsyncOAuth2Client]:
        base = self._needs.base_url or str(visit.request.base_url)
        client = AsyncOAuth2Client(
            self._provider.client_id,
            self._provider.client_secret,
            scope="openid email profile",
            redirect_uri=base.rstrip("/") + CALLBACK,
            code_challenge_method="S256",
            timeout=TIMEOUT_S,
            trust_env=False,
            proxy=proxy_for(self._provider.issuer),
        )
        try:
            async with client:
                yield client
        except httpx2.HTTPError as error:
            raise Unavailable("sign-in provider", type(error).__name__) from error

    async def _discover(self, client: AsyncOAuth2Client) -> Mapping[str, str]:
        address = self._provider.issuer.rstrip("/") + "/.well-known/openid-configuration"
        response = await client.request("GET", address, withhold_token=True)
        try:
            known: Mapping[str, str] = response.raise_for_status().json()
        except ValueError as error:
            raise Unavailable("sign-in provider", "its configuration cannot be read") from error
        if known.get("issuer") != self._provider.issuer:
            raise Unavailable("sign-in provider", "its configuration names another issuer")
        return known


def _person(claims: Mapping[str, Any]) -> Person:
    email = str(claims.get("email", ""))
    return Person(
        subject=str(claims["sub"]),
        name=str(claims.get("name") or claims.get("preferred_username") or email),
        email=email if claims.get("email_verified") is True else "",
    )


def _cookie(visit: Visit) -> str:
    prefix = "__Host-" if visit.request.url.scheme == "https" else ""
    return f"{prefix}dragoman-desk-away"
