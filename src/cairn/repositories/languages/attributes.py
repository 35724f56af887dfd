"""What a repository says of its own files in ``.gitattributes``, and which files nobody wrote by hand there.

Read are the ``linguist-`` attributes that forges agree on: language, vendored, generated, documentation, detectable.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from cairn.git.path_patterns import PathPattern

ATTRIBUTES_FILE = b".gitattributes"
FILES_READ_MAX = 200
LINES_READ_MAX = 2000
_PREFIX = b"linguist-"
_NAMES = frozenset({b"language", b"vendored", b"generated", b"documentation", b"detectable"})
_UNSPECIFIED = b"!"

_VENDORED = re.compile(
    rb"""(?:^|/)(?:
      (?:vendor|vendors|vendored|third[-_]?party|3rd[-_]?party|externals?|bower_components|node_modules|Godeps/_workspace
        |Carthage|Pods|\.yarn/(?:releases|plugins|sdks|versions|unplugged)|\.venv|site-packages|deps|cache|dist)/
      |\.github/|\.gitlab/|\.vscode/|\.idea/|\.devcontainer/
      |(?:gradlew|gradlew\.bat|mvnw|mvnw\.cmd|configure|config\.guess|config\.sub|aclocal\.m4|libtool\.m4|ltmain\.sh
        |waf|\.pnp\.c?js)$
      |(?:jquery|bootstrap|angular|d3|react|vue|lodash|underscore|moment|prototype|mootools|modernizr|normalize
        |font-?awesome|raphael|require|ace|codemirror|tiny_mce)[-.]?[\w.-]*\.(?:js|css|scss|less)$
      |\.git(?:ignore|attributes|modules)$
    )""",
    re.VERBOSE,
)
_GENERATED = re.compile(
    rb"""(?:
      (?:^|/)(?:package-lock\.json|npm-shrinkwrap\.json|yarn\.lock|pnpm-lock\.yaml|bun\.lockb?|Cargo\.lock|poetry\.lock
        |uv\.lock|pdm\.lock|Pipfile\.lock|composer\.lock|Gemfile\.lock|go\.sum|mix\.lock|flake\.lock|deno\.lock|glide\.lock
        |Gopkg\.lock|\.terraform\.lock\.hcl|MODULE\.bazel\.lock)$
      |[.-]min\.(?:js|css|mjs)$ | \.(?:js|css|mjs)\.map$ | (?:^|/)__generated__/ | (?:^|/)__snapshots__/
      |_pb2(?:_grpc)?\.pyi?$ | \.pb\.(?:go|cc|h|c)$ | \.pb-c\.[ch]$ | \.g\.dart$ | \.freezed\.dart$
      |\.designer\.(?:cs|vb)$ | \.generated\.\w+$ | _generated\.\w+$ | (?:^|/)zz_generated\.[\w.]+\.go$
      |\.nib$ | \.xcworkspacedata$ | \.xcuserstate$ | (?:^|/)moc_\w+\.cpp$ | (?:^|/)qrc_\w+\.cpp$ | (?:^|/)ui_\w+\.h$
    )""",
    re.VERBOSE,
)
_DOCUMENTATION = re.compile(
    rb"""(?:
      ^(?:docs?|documentation|javadoc|man|examples?|samples?|demos?)/
      |(?:^|/)(?:docs?|documentation|javadoc|groovydoc|man|samples|examples)/
      |(?:^|/)(?:CHANGE(?:S|LOG)?|CONTRIBUTING|COPYING|INSTALL|LICEN[CS]E|README)(?:\.|$)
    )""",
    re.VERBOSE | re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Said:
    """What stands written of one file; None where nothing does."""

    language: str | None = None
    vendored: bool | None = None
    generated: bool | None = None
    documentation: bool | None = None
    detectable: bool | None = None


NOTHING_SAID = Said()


@dataclass(slots=True)
class Attributes:
    """The rules of all ``.gitattributes`` of a tree, weakest first: a deeper folder's and a later line's win."""

    _rules: list[tuple[PathPattern, dict[bytes, bytes | bool]]] = field(default_factory=list)

    @classmethod
    def read(cls, files: Mapping[bytes, bytes]) -> "Attributes":
        """Return the rules of these files: content by path."""
        found = cls()
        for path in sorted(files, key=lambda path: (path.count(b"/"), path)):
            folder = path.rpartition(b"/")[0]
            for line in files[path].splitlines()[:LINES_READ_MAX]:
                found._take(folder, line)
        return found

    def _take(self, folder: bytes, line: bytes) -> None:
        words = _words(line)
        # Macros have no path of their own, and git knows no negative patterns here.
        if len(words) < 2 or words[0].startswith((b"#", b"!", b"[attr]")):
            return
        values = dict(pair for word in words[1:] if (pair := _value(word)) is not None)
        if values:
            self._rules.append((PathPattern(words[0], folder=folder, takes_folders=False), values))

    def of(self, path: bytes) -> Said:
        """Return what is said of a file."""
        if not self._rules:
            return NOTHING_SAID
        merged: dict[bytes, bytes | bool] = {}
        for pattern, values in self._rules:
            if pattern.matches(path):
                merged |= values
        language = merged.get(b"language")
        flags = {name.decode(): value for name, value in merged.items() if isinstance(value, bool)}
        return Said(
            language=language.decode("utf-8", "replace") if isinstance(language, bytes) else None,
            vendored=flags.get("vendored"),
            generated=flags.get("generated"),
            documentation=flags.get("documentation"),
            detectable=flags.get("detectable"),
        )


def _words(line: bytes) -> list[bytes]:
    """Return the pattern, which may be quoted, and the attributes of one line."""
    line = line.strip()
    if line.startswith(b'"'):
        quoted, mark, rest = line[1:].partition(b'"')
        return [quoted, *rest.split()] if mark else []
    return line.split()


def _value(word: bytes) -> tuple[bytes, bytes | bool] | None:
    """Return the name and value of one attribute of ours; an attribute made unspecified again is an empty text."""
    sign = word[:1] if word[:1] in {b"-", _UNSPECIFIED} else b""
    name, mark, value = word[len(sign) :].partition(b"=")
    if not name.startswith(_PREFIX) or (name := name.removeprefix(_PREFIX)) not in _NAMES:
        return None
    if sign == _UNSPECIFIED:
        return name, b""
    if name == b"language":
        return name, value if mark and not sign else b""
    return name, not sign and value.lower() not in {b"false", b"0"}


def is_left_out(path: bytes, said: Said) -> bool:
    """Tell whether a file is not counted: brought along, made by a program, or documentation."""
    ways: Iterable[tuple[bool | None, re.Pattern[bytes]]] = (
        (said.vendored, _VENDORED),
        (said.generated, _GENERATED),
        (said.documentation, _DOCUMENTATION),
    )
    return any(pattern.search(path) is not None if own is None else own for own, pattern in ways)
