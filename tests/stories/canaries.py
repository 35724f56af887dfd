"""Marked secrets, and a net that finds them in what a forge says: as they are, and in every usual disguise."""

import base64
import gzip
import html
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, quote_plus

import httpx2

MARK = "kanarienvogel"
_FORM_SECRET = re.compile(r'(name="(?:csrf_token|secret|invitation)" value=")([^"]+)')
"""A form carries these back to where they came from; nowhere else may they stand."""
_PUBLIC_COOKIES = ("theme", "contrast", "shortcuts", "flash")


@dataclass
class Heard:
    """Everything that left the forge, and the secrets that may stand nowhere in it."""

    secrets: set[str] = field(default_factory=set)
    texts: list[tuple[str, str]] = field(default_factory=list)

    def note(self, where: str, text: str) -> None:
        """Remember what was said somewhere."""
        self.texts.append((where, text))

    def note_answer(self, answer: httpx2.Response) -> None:
        """Remember an answer's head and body; its cookies and its forms' tokens become secrets."""
        answer.read()
        where = f"{answer.request.method} {answer.request.url.path} {answer.status_code}"
        for line in answer.headers.get_list("set-cookie"):
            name, _, rest = line.partition("=")
            value = rest.partition(";")[0].strip('"')
            if any(word in name for word in _PUBLIC_COOKIES):
                self.note(f"{where} cookie", value)
            elif value:
                self.secrets.add(value)
        head = "\n".join(f"{name}: {value}" for name, value in answer.headers.items() if name != "set-cookie")
        self.secrets |= {html.unescape(value) for _, value in _FORM_SECRET.findall(answer.text)}
        self.note(f"{where} head", head)
        self.note(where, _FORM_SECRET.sub(r"\1", answer.text))

    def shown_once(self, secret: str) -> None:
        """Take back the newest text, which showed a secret on purpose; from now on it may be shown nowhere."""
        where, text = self.texts.pop()
        assert secret in text, f"{where} shows none"
        self.secrets.add(secret)

    def leaks(self) -> list[str]:
        """Return where a secret stands in the open or in a disguise, with which one and what stands around it."""
        return sorted(set(self._leaks()))

    def _leaks(self) -> Iterator[str]:
        disguised = [(secret, shape) for secret in self.secrets for shape in disguises(secret)]
        for where, text in self.texts:
            for secret, shape in disguised:
                at = text.find(shape)
                if at >= 0:
                    yield f"{where}: {secret[:30]} in {text[max(at - 80, 0) : at + 80]!r}"


def disguises(secret: str) -> set[str]:
    """Return the shapes in which a text may hold a secret: plain, as an address, JSON or HTML, hexadecimal, base64."""
    raw = secret.encode()
    shapes = {secret, quote(secret, safe=""), quote(secret), quote_plus(secret), html.escape(secret)}
    shapes |= {json.dumps(secret)[1:-1], raw.hex(), raw.hex().upper()}
    for before in range(3):  # in base64 it looks different after one or two other bytes
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            encoded = encode(bytes(before) + raw).decode()
            shapes.add(encoded[(0, 2, 3)[before] : (before + len(raw)) * 8 // 6])
    return shapes


@dataclass
class Recorder:
    """Programs that stand in for git and for the operator's hooks and write down what each was started with."""

    folder: Path

    def settings(self, path: str) -> dict[str, str]:
        """Make the programs and return the settings that have them called; ``path`` is where programs are looked for.

        git's stand-in then becomes git, so that nothing depends on catching a short-lived child in the act.
        """
        for place in ("bin", "hooks"):
            (self.folder / place).mkdir(parents=True)
        self._write("bin/git", 'PATH=${PATH#*:} exec git "$@"')
        self._write("hooks/pre-receive", "exec cat >/dev/null")
        return {"PATH": f"{self.folder / 'bin'}:{path}", "CAIRN_HOOKS_DIR": str(self.folder / "hooks")}

    def _write(self, name: str, then: str) -> None:
        program = self.folder / name
        records = self.folder / f"{program.name}.started"
        program.write_text(f"#!/bin/sh\ncat /proc/$$/environ /proc/$$/cmdline >>'{records}'\n{then}\n")
        program.chmod(0o755)

    def started(self, name: str) -> str:
        """Return environment and command line of every start of one program; it was started at least once."""
        return (self.folder / f"{name}.started").read_bytes().replace(b"\0", b"\n").decode("utf-8", "replace")


def texts_below(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield name and text of every file below a folder, compressed ones inflated."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            raw = path.read_bytes()
            raw = gzip.decompress(raw) if path.suffix == ".gz" else raw
            yield str(path.relative_to(folder)), raw.decode("utf-8", "replace")
