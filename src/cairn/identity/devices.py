"""Browsers that have signed in to an account before: they may try again whatever strangers do to its name.

The cookie proves nothing but that; it opens no session, so it outlives signing out and a changed password.
"""

import base64
import hmac
import secrets

from cairn.web.context import Cookie, RequestContext

DEVICE_SECONDS = 400 * 86400
"""The most that browsers allow."""
ACCOUNTS_MAX = 5
"""Accounts one browser is remembered for; the longest unused goes first."""

_COOKIE = "device"


def known_device(context: RequestContext, account_id: int) -> str:
    """Return a text that names this browser if it has signed in to the account before, empty otherwise."""
    for entry in _entries(context):
        known, _, rest = entry.partition("-")
        nonce, _, proof = rest.partition("-")
        if known == str(account_id) and hmac.compare_digest(proof.encode(), _proof(context, known, nonce).encode()):
            return f"{known}-{nonce}"
    return ""


def remember_device(context: RequestContext, account_id: int) -> None:
    """Let the answer tell this browser that it has signed in to the account."""
    nonce = secrets.token_hex(8)
    entry = f"{account_id}-{nonce}-{_proof(context, str(account_id), nonce)}"
    others = [other for other in _entries(context) if other.partition("-")[0] != str(account_id)]
    value = ".".join([entry, *others][:ACCOUNTS_MAX])
    context.set_cookie(Cookie(context.site.cookie_name(_COOKIE), value, max_age_seconds=DEVICE_SECONDS))


def _entries(context: RequestContext) -> list[str]:
    sent = context.request.cookies.get(context.site.cookie_name(_COOKIE), "")
    return [entry for entry in sent.split(".")[:ACCOUNTS_MAX] if entry.isascii() and entry.count("-") >= 2]


def _proof(context: RequestContext, account_id: str, nonce: str) -> str:
    digest = context.site.sign("device", f"{account_id} {nonce}")
    return base64.urlsafe_b64encode(digest[:18]).decode()
