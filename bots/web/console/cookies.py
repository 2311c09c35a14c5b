"""The console's two cookies: the session, and what binds forms before it."""

from starlette.requests import Request
from starlette.responses import Response

SESSION = "dragoman-desk"
FORMS = "dragoman-desk-forms"


def signed_in(request: Request, response: Response, token: str) -> Response:
    """Give the browser its session; the form cookie of before has done its duty."""
    _set_cookie(request, response, SESSION, token)
    response.delete_cookie(_name(request, FORMS), secure=_is_secure(request), httponly=True)
    return response


def signed_out(request: Request, response: Response) -> Response:
    """Take the session back."""
    response.delete_cookie(_name(request, SESSION), secure=_is_secure(request), httponly=True)
    return response


def session_token(request: Request) -> str:
    """The token that the browser came with, good or not."""
    return _cookies(request).get(SESSION, "")


def form_token(request: Request) -> str:
    """What binds the forms of somebody who is not signed in to their browser."""
    return _cookies(request).get(FORMS, "")


def keep_form_token(request: Request, response: Response, token: str) -> None:
    """Set it, unless the browser has one or has just signed in."""
    if FORMS not in _cookies(request) and "set-cookie" not in response.headers:
        _set_cookie(request, response, FORMS, token)


def _is_secure(request: Request) -> bool:
    return request.url.scheme == "https"


def _name(request: Request, name: str) -> str:
    # The prefix keeps a page of a sibling domain from planting its own session on our staff.
    return f"__Host-{name}" if _is_secure(request) else name


def _cookies(request: Request) -> dict[str, str]:
    names = {_name(request, name): name for name in (SESSION, FORMS)}
    return {names[n]: value for n, value in request.cookies.items() if n in names and value}


def _set_cookie(request: Request, response: Response, name: str, value: str) -> None:
    response.set_cookie(
        _name(request, name), value, secure=_is_secure(request), httponly=True, samesite="lax"
    )
