"""Files that nobody wrote by hand, or somebody else did: told by their paths, folded away in diffs."""

import re
from typing import Literal

_GENERATED = re.compile(
    r"""(^|/)(
        package-lock\.json | npm-shrinkwrap\.json | yarn\.lock | pnpm-lock\.yaml | bun\.lockb? | deno\.lock
      | composer\.lock | Gemfile\.lock | Cargo\.lock | poetry\.lock | uv\.lock | pdm\.lock | Pipfile\.lock
      | go\.sum | flake\.lock | mix\.lock | pubspec\.lock | Podfile\.lock | gradle\.lockfile | Package\.resolved
      | packages\.lock\.json | \.terraform\.lock\.hcl
      | [^/]+\.(min\.(js|css|mjs)|map|pb\.go|pb\.cc|pb\.h|pb\.gw\.go|g\.dart|freezed\.dart|designer\.cs|snap)
      | [^/]+_pb2(_grpc)?\.pyi? | [^/]+_generated\.(go|rs|py|ts) | zz_generated[^/]*\.go
      | __generated__/.* | [^/]+\.generated\.\w+
    )$""",
    re.VERBOSE | re.IGNORECASE,
)
_VENDORED = re.compile(
    r"(^|/)(vendor|vendored|node_modules|bower_components|third[_-]party|thirdparty|Godeps/_workspace|\.yarn/releases)/",
    re.IGNORECASE,
)


def kind_of_origin(path: bytes) -> Literal["generated", "vendored"] | None:
    """Tell whether a path is that of a generated file, or of one kept for somebody else; None for people's own."""
    text = path.decode("utf-8", "replace")
    if _VENDORED.search(text):
        return "vendored"
    return "generated" if _GENERATED.search(text) else None
