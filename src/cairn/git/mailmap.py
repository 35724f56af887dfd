"""``.mailmap``: which names and addresses of a history are one person's, as gitmailmap(5) says."""

import re
from dataclasses import dataclass, field

_LINE = re.compile(r"([^<>]*?)\s*<([^<>]*)>(?:\s*([^<>]*?)\s*<([^<>]*)>)?\s*")
_LINES_MAX = 20_000


@dataclass(slots=True)
class Mailmap:
    """Proper names and addresses; what is not listed stays as it is."""

    by_email: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Address in lower case -> proper name and address, either empty where it stays."""
    by_both: dict[tuple[str, str], tuple[str, str]] = field(default_factory=dict)
    """The same for a name (in lower case) together with its address."""

    def proper(self, name: str, email: str) -> tuple[str, str]:
        """Return the proper name and address of somebody who signed so."""
        key = email.lower()
        found = self.by_both.get((name.lower(), key)) or self.by_email.get(key)
        return (found[0] or name, found[1] or email) if found else (name, email)


def read_mailmap(text: str) -> Mailmap:
    """Return what a ``.mailmap`` says; lines that say nothing are passed over, beyond 20,000 all."""
    found = Mailmap()
    for line in text.splitlines()[:_LINES_MAX]:
        match = _LINE.fullmatch(line.partition("#")[0].strip())
        if match is None:
            continue
        name, email, other_name, other_email = (part or "" for part in match.groups())
        if not match[4]:
            # "Proper Name <commit@address>": the address stays.
            _add(found, email, name, "")
        elif other_name:
            found.by_both[other_name.lower(), other_email.lower()] = (name, email)
        else:
            _add(found, other_email, name, email)
    return found


def _add(mailmap: Mailmap, key: str, name: str, email: str) -> None:
    # Of two lines about one address the later says the name, the address, or both.
    old_name, old_email = mailmap.by_email.get(key.lower(), ("", ""))
    mailmap.by_email[key.lower()] = (name or old_name, email or old_email)
