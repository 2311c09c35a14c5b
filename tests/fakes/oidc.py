"""A sign-in provider that speaks OpenID Connect, and lies when told to."""

import base64
import hashlib
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from joserfc import jwt
from joserfc.jwk import RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from bots.server import serving

CLIENT_ID, CLIENT_SECRET = "dragoman", "a client secret"


@dataclass(kw_only=True)
class FakeProvider:
    """Signs in whoever `claims` describes; `lies` replace what a token would rightly say."""

    issuer: str = ""
    claims: dict[str, Any] = field(default_factory=dict)
    lies: dict[str, Any] = field(default_factory=dict)
    key: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048, {"kid": "1"}))
    # What tokens are signed with; a stranger's key when told to lie.
    signs_with: RSAKey | None = None
    redirect_uris: set[str] = field(default_factory=set)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    down: bool = False

    async def configuration(self, request: Request) -> Response:
        if self.down:
            return Response(status_code=502)
        return JSONResponse(
            {
                "issuer": self.lies.get("configured", self.issuer),
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "jwks_uri": f"{self.issuer}/keys",
            }
        )

    async def authorize(self, request: Request) -> Response:
        asked = dict(request.query_params)
        exact = asked.get("redirect_uri") in self.redirect_uris
        if not exact or asked.get("client_id") != CLIENT_ID or asked.get("response_type") != "code":
            return Response("redirect_uri or client_id", 400)
        if asked.get("code_challenge_method") != "S256" or not asked.get("nonce"):
            return Response("code_challenge_method or nonce", 400)
        code = secrets.token_urlsafe(8)
        self.codes[code] = asked
        back = f"{asked['redirect_uri']}?code={code}&state={asked['state']}&iss={self.issuer}"
        return RedirectResponse(back, 302)

    async def token(self, request: Request) -> Response:
        form = await request.form()
        asked = self.codes.pop(str(form.get("code")), None)
        digest = hashlib.sha256(str(form.get("code_verifier")).encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        basic = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET.replace(' ', '+')}".encode())
        plain = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode())
        known = request.headers.get("authorization", "").removeprefix("Basic ").encode()
        if (
            asked is None
            or asked["code_challenge"] != challenge
            or asked["redirect_uri"] != form.get("redirect_uri")
            or known not in (basic, plain)
        ):
            return JSONResponse({"error": "invalid_grant"}, 400)
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "aud": CLIENT_ID,
            "iat": now,
            "exp": now + 300,
            "nonce": asked["nonce"],
            **self.claims,
            **self.lies,
        }
        token = jwt.encode({"alg": "RS256", "kid": "1"}, claims, self.signs_with or self.key)
        return JSONResponse(
            {"access_token": "at", "token_type": "Bearer", "expires_in": 300, "id_token": token}
        )

    async def keys(self, request: Request) -> Response:
        return JSONResponse({"keys": [self.key.as_dict(private=False)]})


@asynccontextmanager
async def open_provider() -> AsyncIterator[FakeProvider]:
    """A provider on a free port."""
    provider = FakeProvider()
    app = Starlette(
        routes=[
            Route("/.well-known/openid-configuration", provider.configuration),
            Route("/authorize", provider.authorize),
            Route("/token", provider.token, methods=["POST"]),
            Route("/keys", provider.keys),
        ]
    )
    async with serving(app, host="127.0.0.1", port=0) as url:
        provider.issuer = url
        yield provider
