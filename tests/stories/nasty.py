"""Names that have broken other programs, put together at random from a seed."""

import random
from urllib.parse import quote_from_bytes

from tests.factories.seeds import chosen_seed

MARK = b"FZ7"
"""Stands in every name made here, so that it can be looked for where no such name may be."""

PIECES = (
    *(
        b"-",
        b"--",
        b"--upload-pack=touch canary",
        b"-oProxyCommand=touch canary",
        b"--exec=id",
        b"-c",
        b"--output=canary",
    ),
    *(
        b"..",
        b"../",
        b"../../../etc/passwd",
        b"/",
        b"//",
        b"./",
        b"/etc/passwd",
        b"\\",
        b"..\\",
        b".git",
        b".git/config",
    ),
    *(b"\0", b"\n", b"\r", b"\r\n", b"\t", b"\x7f", b"\x1b[31m", b"\x80", b"\xff\xfe", b"\xed\xa0\x80", b"\xc0\xaf"),
    *(b";", b"|", b"&", b"`id`", b"$(id)", b"${HOME}", b" ", b"'", b'"', b"<script>", b"%", b"%00", b"%2e%2e%2f", b"#"),
    *(
        b"~",
        b"^",
        b"^{tree}",
        b"^!",
        b":",
        b"::",
        b":/a",
        b"?",
        b"*",
        b"[",
        b"]",
        b"@{",
        b"@{u}",
        b"@{-1}",
        b"@",
        b".lock",
    ),
    *(b"refs/heads/", b"refs/pull/1/head", b"refs/", b"HEAD", b"FETCH_HEAD", b"main", b"main..", b"...", b"main^0"),
    *("é".encode(), "é".encode(), "名".encode(), "\u202e".encode(), "\U0001f4a5".encode(), b"a" * 300),
)


def make_random() -> tuple[random.Random, int]:
    """Return a source of randomness and the run's seed."""
    seed = chosen_seed()
    return random.Random(seed), seed


def nasty(source: random.Random) -> bytes:
    """Return a name of one to four pieces with MARK somewhere between them."""
    pieces = source.choices(PIECES, k=source.randint(1, 4))
    pieces.insert(source.randint(0, len(pieces)), MARK)
    return b"".join(pieces)


def in_path(name: bytes, *, slashes: bool) -> str:
    """Return a name as it stands in the path of a well-formed request."""
    return quote_from_bytes(name, safe="/" if slashes else "") or "-"
