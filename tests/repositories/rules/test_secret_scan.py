"""Files of any size are read in pieces, and a secret is found once, at its place, wherever a piece ends."""

import hashlib
import random
import tracemalloc

import pytest
from tests.factories.seeds import chosen_seed

from cairn.git.types import Oid
from cairn.identity.token_format import make_token
from cairn.repositories.rules import secret_kinds, secret_scan
from cairn.repositories.rules.new_commits import TooMuchToExamine
from cairn.repositories.rules.secret_kinds import SecretPatterns
from cairn.repositories.rules.secret_scan import FOUND_PER_FILE_MAX, _BatchReader, scan_text, scan_texts
from cairn.repositories.rules.types import CustomSecret

PATTERNS = SecretPatterns(builtin=True, custom=())


def test_a_place_is_a_line_and_a_column_from_one() -> None:
    token = make_token()
    [one] = scan_text(f"é\n\n  {token}".encode(), PATTERNS)
    assert (one.line, one.column) == (3, 3)
    assert str(one).startswith("line 3, column 3 has what looks like a Cairn token: crn_…")
    assert token[4:] not in str(one)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_wide_text_is_read_by_its_mark(encoding: str) -> None:
    mark = {"utf-16": b"", "utf-16-le": b"\xff\xfe", "utf-16-be": b"\xfe\xff"}[encoding]
    text = mark + f"a\nb {make_token()}\n".encode(encoding)
    [one] = scan_text(text, PATTERNS)
    assert (one.line, one.column) == (2, 3)


def test_pieces_of_any_size_find_what_the_whole_has(monkeypatch: pytest.MonkeyPatch) -> None:
    """A child's pipe and the pieces of the scan cut a file anywhere: inside a token, before it, in a line."""
    monkeypatch.setattr(secret_scan, "PIECE_BYTES", 3000)
    monkeypatch.setattr(secret_scan, "_OVERLAP_BYTES", 1000)
    rng = random.Random(chosen_seed())
    for _ in range(20):
        parts = [rng.choice([make_token(), "x" * rng.randrange(400), "\n", " "]) + " " for _ in range(200)]
        text = "".join(parts).encode()
        lines = text.split(b"\n")
        wanted = [
            (number, line.find(token) + 1)
            for number, line in enumerate(lines, 1)
            for token in line.split()
            if token.startswith(b"crn_")
        ]
        reader = _BatchReader(PATTERNS)
        stream = b"".join(b"%040d blob %d\n%b\n" % (index, len(text), text) for index in range(2))
        place = 0
        while place < len(stream):
            size = rng.randrange(1, 4000)
            reader.take(stream[place : place + size])
            place += size
        assert set(reader.found) == {Oid("0" * 40), Oid("0" * 39 + "1")}
        for found in reader.found.values():
            assert [(one.line, one.column) for one in found] == wanted[: secret_scan.FOUND_PER_FILE_MAX]


def test_a_pattern_that_matches_everywhere_takes_bounded_memory() -> None:
    """Attack: a secret pattern of one letter and a file of many, so that each of them becomes a finding."""
    letters = SecretPatterns(builtin=False, custom=[CustomSecret("letter", "a")])
    assert len(scan_text(b"a" * 50_000, letters)) == FOUND_PER_FILE_MAX
    tracemalloc.start()
    try:
        found = letters.find(b"a" * (4 << 20))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(found) == secret_kinds.FOUND_AT_ONCE_MAX
    assert peak < 64 << 20


def test_what_nobody_could_read_through_is_refused_and_never_passed(monkeypatch: pytest.MonkeyPatch) -> None:
    allowed = SecretPatterns(builtin=False, custom=[CustomSecret("letter", "a")])
    [first] = allowed.find(b"a")
    allowed = SecretPatterns(
        builtin=False, custom=[CustomSecret("letter", "[ab]")], allowed_fingerprints=[fingerprint_of("letter", b"a")]
    )
    assert first.fingerprint == fingerprint_of("letter", b"a")
    monkeypatch.setattr(secret_kinds, "MATCHES_MAX", 1000)
    with pytest.raises(TooMuchToExamine, match="more than 1,000 places"):
        scan_text(b"a" * 1001 + b"b", allowed)
    monkeypatch.setattr(secret_scan, "FOUND_MAX", 10)
    with pytest.raises(TooMuchToExamine, match="more than 10 places"):
        scan_texts({Oid(f"{number:040}"): b"b" for number in range(11)}, allowed)


def fingerprint_of(kind: str, secret: bytes) -> str:
    return hashlib.sha256(kind.encode() + b"\0" + secret).hexdigest()[:16]
