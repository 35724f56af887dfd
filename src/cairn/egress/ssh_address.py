"""Addresses of repositories behind SSH, in git's two spellings: ``ssh://user@host/path`` and ``user@host:path``.

Source: git-fetch(1), "GIT URLS".
"""

import re
from dataclasses import dataclass
from urllib.parse import quote, unquote

from cairn.egress.door import DEFAULT_PORTS, AddressRefused, CheckedUrl, normal_host, parse_url

_SHORT = re.compile(r"([A-Za-z0-9_][A-Za-z0-9_.-]{0,63})@(\[[^\]\s]+\]|[^\s:/@\[\]]+):(?!//)(.+)")
_UNUSABLE = re.compile(r"[\x00-\x20\x7f\\]")
_PATH_LENGTH_MAX = 1000


@dataclass(frozen=True, slots=True)
class SshAddress:
    """A repository as a login shell there is asked for it: ``path`` begins with ``/``, with ``~`` or in the home."""

    user: str
    host: str
    port: int
    path: str

    def __str__(self) -> str:
        """Return the address in its one spelling."""
        if not self.path.startswith(("/", "~")):
            host = f"[{self.host}]" if ":" in self.host else self.host
            return f"{self.user}@{host}:{self.path}"
        rest = quote(self.path if self.path.startswith("/") else f"/{self.path}")
        return str(CheckedUrl("ssh", self.host, self.port, rest, self.user))


def is_ssh(text: str) -> bool:
    """Tell whether an address is one for SSH, whatever else may be wrong with it."""
    return text.lower().startswith("ssh://") or _SHORT.fullmatch(text) is not None


def parse_ssh(text: str) -> SshAddress:
    """Return an address that can be read in one way only. Errors: AddressRefused says what is wrong with it."""
    found = _SHORT.fullmatch(text)
    if found is not None:
        user, host, path = found.groups()
        is_literal = host.startswith("[")
        host = normal_host(host.strip("[]"), bracketed=is_literal)
        return SshAddress(user, host, DEFAULT_PORTS["ssh"], _checked(path))
    url = parse_url(text, schemes={"ssh"})
    if not url.user:
        raise AddressRefused("An SSH address names its user, mostly git: ssh://git@HOST/PATH.")
    if "?" in url.rest or "#" in text:
        raise AddressRefused("An SSH address has no ? and no #; write %3F and %23 if the path has them.")
    path = unquote(url.rest)
    return SshAddress(url.user, url.host, url.port, _checked(path[1:] if path.startswith("/~") else path))


def _checked(path: str) -> str:
    path = path.rstrip("/")
    if not path:
        raise AddressRefused("The address names no repository.")
    if _UNUSABLE.search(path) or path.startswith("-") or len(path) > _PATH_LENGTH_MAX:
        raise AddressRefused("The path has blanks, backslashes or control characters, is too long, or begins with '-'.")
    return path
