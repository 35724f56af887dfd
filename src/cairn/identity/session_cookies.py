"""The cookie that opens a session: reading it, sending a new one, taking it away."""

from cairn.identity.sessions import SignedIn
from cairn.web.context import Authentication, Cookie, RequestContext, Via

COOKIE_SECONDS = 400 * 86400
"""The most that browsers allow. How long a session lasts is for its row to say, which moves on with each use."""


def session_cookie(context: RequestContext) -> str:
    """Return the session's cookie as the browser sent it, empty without one."""
    return context.request.cookies.get(_cookie_name(context), "")


def begin_session(context: RequestContext, signed_in: SignedIn) -> None:
    """Send the cookie of a session just opened, or given another cookie; the rest of this request is made in it."""
    context.set_cookie(Cookie(_cookie_name(context), signed_in.cookie, max_age_seconds=COOKIE_SECONDS))
    context.authentication = Authentication(signed_in.actor, Via.SESSION, signed_in.session_id)


def end_session(context: RequestContext) -> None:
    """Take the session's cookie away with this answer."""
    context.set_cookie(Cookie(_cookie_name(context), "", max_age_seconds=0))


def _cookie_name(context: RequestContext) -> str:
    return context.site.cookie_name("session")
