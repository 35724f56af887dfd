"""Paths and redirects that cannot lead away from this site."""

from urllib.parse import quote, urlsplit

SIGN_IN_PATH = "/login"


def own_path(candidate: str | None, *, default: str = "/") -> str:
    """Return ``candidate`` if it is a path on this site, else ``default``; an open redirect is impossible.

    Refused: other schemes and hosts, ``//host``, anything with a backslash or a control character, paths that browsers
    would normalise into another host.
    """
    if not candidate or len(candidate) > 2000 or not candidate.startswith("/"):
        return default
    if candidate.startswith("//") or "\\" in candidate or any(ord(c) < 0x21 or ord(c) == 0x7F for c in candidate):
        return default
    try:
        parts = urlsplit(candidate)
    except ValueError:
        return default
    if parts.scheme or parts.netloc or parts.path.startswith("//"):
        return default
    return candidate


def sign_in_url(next_path: str = "") -> str:
    """Return the sign-in page's address, coming back to ``next_path`` afterwards."""
    target = own_path(next_path, default="")
    return f"{SIGN_IN_PATH}?next={quote(target, safe='/')}" if target not in {"", "/"} else SIGN_IN_PATH


def path_join(*parts: str | bytes) -> str:
    """Return ``/a/b/c`` with each part percent-encoded; slashes inside a part stay, as in paths and ref names."""
    return "/" + "/".join(quote(part, safe="/~!$&'()*+,;=:@") for part in parts)
