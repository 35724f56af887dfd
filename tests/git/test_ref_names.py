import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cairn.git.ref_names import RESERVED_PREFIXES, RefNameInvalid, check_ref_name, is_reserved

PIECES = st.sampled_from(
    [*b"a main . .. / - @ { @{ .lock ~ ^ : ? * [ \\ lock A 1".split(), b" ", b"\x01", b"\x7f", b"\xff", "é".encode()]
)
NAMES = st.lists(PIECES, max_size=8).map(b"".join).map(lambda tail: b"refs/heads/" + tail)


def stock_git_accepts(name: bytes) -> bool:
    return subprocess.run([b"git", b"check-ref-format", name], check=False).returncode == 0


def is_accepted(name: bytes) -> bool:
    try:
        check_ref_name(name, max_bytes=255)
    except RefNameInvalid:
        return False
    return True


@settings(max_examples=150, deadline=None)
@given(NAMES)
def test_the_rules_are_those_of_stock_git_but_for_leading_dashes(name: bytes) -> None:
    assert is_accepted(name) == (stock_git_accepts(name) and b"/-" not in name)


@settings(max_examples=60, deadline=None)
@given(st.binary(min_size=1, max_size=12).filter(lambda raw: b"\0" not in raw))
def test_arbitrary_bytes_are_judged_as_stock_git_judges_them(tail: bytes) -> None:
    name = b"refs/heads/" + tail
    assert is_accepted(name) == (stock_git_accepts(name) and b"/-" not in name)


@pytest.mark.parametrize(
    "name",
    [
        b"refs/heads/--upload-pack=x",
        b"refs/-x/y",
        b"heads/main",
        b"main",
        b"HEAD",
        b"",
        b"refs/",
        b"refs/stash",
        b"refs/heads/",
        b"refs//heads",
        b"refs/heads/\0",
        b"refs/heads/" + b"a" * 40,
        b"refs/tags/" + b"0" * 40,
        b"refs/heads/" + b"a" * 300,
    ],
)
def test_names_that_could_mislead_are_refused(name: bytes) -> None:
    with pytest.raises(RefNameInvalid, match="is not a valid ref name"):
        check_ref_name(name, max_bytes=255)


def test_the_message_names_the_value_and_the_setting() -> None:
    with pytest.raises(RefNameInvalid, match="CAIRN_MAX_REF_NAME_BYTES") as caught:
        check_ref_name(b"refs/heads/much-too-long", max_bytes=20)
    assert "refs/heads/much-too-long" in caught.value.message


@pytest.mark.parametrize(
    "name", [b"refs/heads/main", b"refs/tags/v1.0", b"refs/heads/a/b@c", b"refs/heads/" + b"a" * 39]
)
def test_ordinary_names_are_accepted(name: bytes) -> None:
    check_ref_name(name, max_bytes=255)
    assert not is_reserved(name)


def test_reserved_names_and_names_in_their_way_are_reserved() -> None:
    for prefix in RESERVED_PREFIXES:
        assert is_reserved(prefix + b"1/head")
        assert is_reserved(prefix.rstrip(b"/"))
    assert not is_reserved(b"refs/heads/gh-readonly-queue-notes")
