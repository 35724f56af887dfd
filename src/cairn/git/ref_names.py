"""Which ref names exist at all, and which belong to Cairn itself.

The rules are git-check-ref-format(1), what receive-pack adds (two levels below ``refs/``), and two refusals of our own:
a component that starts with ``-`` (it could be read as an option wherever a name reaches a command line, ours or a
client's) and a branch or tag that looks like an object id (``git checkout`` could not tell it from the commit).
"""

import re

from cairn.base.errors import Invalid
from cairn.git.types import RefName, show

RESERVED_PREFIXES: tuple[bytes, ...] = (
    b"refs/pull/",
    b"refs/heads/gh-readonly-queue/",
    b"refs/cairn/",
    b"refs/for/",
)
"""Names that only Cairn writes (``refs/for/`` is kept free for pushes that open pulls); a push to them is refused."""

KEPT_OBJECTS: RefName = b"refs/cairn/kept"
"""A plan that moves this ref lands objects that no ref reaches: it is made and deleted in one stroke, so that its line
of the log is a root for 14 days, as if somebody had pushed a ref and deleted it. It never stands among the refs."""

_FORBIDDEN = re.compile(rb"[\x00-\x20\x7f~^:?*\[\\]")
_LOOKS_LIKE_OID = re.compile(rb"refs/(?:heads|tags)/[0-9a-fA-F]{40}")


class RefNameInvalid(Invalid):
    """A ref name that git or Cairn does not allow; the message has the name and the rule."""

    def __init__(self, name: bytes, rule: str) -> None:
        super().__init__(f"{show(name[:300])!r} is not a valid ref name: {rule}")
        self.name = name


def check_ref_name(name: bytes, *, max_bytes: int) -> None:
    """Return if ``name`` is a full ref name Cairn keeps; RefNameInvalid says which rule it breaks.

    ``max_bytes`` is ``settings.max_ref_name_bytes``. A reserved name is valid here: see ``is_reserved``.
    """
    if len(name) > max_bytes:
        raise RefNameInvalid(name, f"it has {len(name):,} bytes, the limit is {max_bytes:,} (CAIRN_MAX_REF_NAME_BYTES)")
    rule = _broken_rule(name)
    if rule is not None:
        raise RefNameInvalid(name, rule)


def is_reserved(name: RefName) -> bool:
    """Tell whether only Cairn may write ``name``; a name that would stand in the way of such names counts too."""
    return (name + b"/").startswith(RESERVED_PREFIXES)


def _broken_rule(name: bytes) -> str | None:
    if not name.startswith(b"refs/"):
        return "it does not start with refs/"
    if (found := _FORBIDDEN.search(name)) is not None:
        return f"it holds {show(found[0])!r}"
    for sequence in (b"..", b"@{"):
        if sequence in name:
            return f"it holds {show(sequence)!r}"
    if name.endswith(b"."):
        return "it ends with '.'"
    components = name.split(b"/")
    for component in components:
        if (rule := _broken_component_rule(component)) is not None:
            return rule
    if len(components) < 3:
        return "it wants two levels below refs/, as refs/heads/main"
    if _LOOKS_LIKE_OID.fullmatch(name):
        return "a branch or tag cannot be named like an object id"
    return None


def _broken_component_rule(component: bytes) -> str | None:
    if not component:
        return "a part between slashes is empty"
    if component.startswith(b"."):
        return "a part starts with '.'"
    if component.startswith(b"-"):
        return "a part starts with '-'"
    if component.endswith(b".lock"):
        return "a part ends with '.lock'"
    return None
