"""Authentication over HTTP: the session's cookie or an Authorization header; one query tells who asks."""

from typing import Any

from litestar import Response

from cairn.base.errors import Forbidden, Unauthenticated
from cairn.identity import sudo
from cairn.identity.authenticate import Authenticated, Authenticator, BadCredentials, ProvenBy
from cairn.identity.credentials import parse_authorization
from cairn.identity.session_cookies import session_cookie
from cairn.web.context import Authentication, RequestContext, Via, WebRequest, context_of
from cairn.web.forms import is_own_origin

_VIA = {
    ProvenBy.SESSION: Via.SESSION,
    ProvenBy.TOKEN: Via.TOKEN,
    ProvenBy.PASSWORD: Via.PASSWORD,
}
_READING = frozenset({"GET", "HEAD"})


class ForeignPage(Forbidden):
    """Another site made the browser send credentials that it remembers."""


class WebAuthentication:
    """Finds out who sent a request; what ``create_app`` wants as ``authenticate``."""

    def __init__(self, authenticator: Authenticator) -> None:
        self._authenticator = authenticator

    async def __call__(self, request: WebRequest) -> Authentication:
        """Return who asks: whom the Authorization header names, else whose session the cookie opens, else nobody.

        Errors: Unauthenticated for a header that signs nobody in; AccountSuspended; RateLimited; ForeignPage. A cookie
        that opens no session is just anonymous.
        """
        context = context_of(request)
        found = await self._by_header(context)
        if found is None:
            found = await self._by_cookie(context)
        if found is None:
            return Authentication()
        return Authentication(found.actor, _VIA[found.by], found.session_id, found.token_expires_at)

    async def ask_again(self, context: RequestContext) -> Response[Any] | None:
        """Return None if the caller proved lately who they are, else the answer that asks for it.

        Errors: ProofWanted for an API call with a session.
        """
        return await sudo.ask_again(context, self._authenticator)

    async def _by_header(self, context: RequestContext) -> Authenticated | None:
        header = context.request.headers.get("authorization")
        try:
            credential = parse_authorization(header, address=context.client_address)
            if header is None or credential is None:
                return None
            if header.strip().lower().startswith("basic"):
                _refuse_foreign_page(context)
            return await self._authenticator.authenticate(credential)
        except Unauthenticated:
            if context.is_api:
                # Clients compare the words, and which part was wrong is nobody's business.
                raise BadCredentials("Bad credentials") from None
            raise

    async def _by_cookie(self, context: RequestContext) -> Authenticated | None:
        cookie = session_cookie(context)
        return await self._authenticator.actor_of_session(cookie) if cookie else None


def _refuse_foreign_page(context: RequestContext) -> None:
    """Return unless a page of another site caused this write.

    After git's Basic challenge a browser keeps what was typed and sends it along by itself, also with what other sites
    make it send; then only Sec-Fetch-Site and Origin tell who is asking.
    """
    headers = context.request.headers
    if context.request.method in _READING:
        return
    origin = headers.get("origin")
    is_foreign = origin is not None and not is_own_origin(context, origin)
    if is_foreign or headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
        raise ForeignPage("This was sent by a page of another site, so nothing was changed.")
