from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairn.git.commands import CHECK_FORMAT, LOG_FORMAT, GitCommand, GitCommandRefused, exclude, symmetric
from cairn.git.types import Oid, is_oid

OID = Oid("a" * 40)
HOSTILE = st.one_of(
    st.text(max_size=30),
    st.sampled_from(["--output=/tmp/x", "--upload-pack=x", "-c", "--exec=sh", "-O/etc/passwd", "HEAD", "--all\n-x"]),
    st.text(max_size=10).map(lambda tail: f"--{tail}"),
    st.text(max_size=10).map(lambda tail: f"{OID}{tail}"),
)


@given(HOSTILE)
def test_no_text_but_an_object_id_becomes_a_revision(text: str) -> None:
    if is_oid(text.removeprefix("^")) or text == symmetric(OID, OID):
        return
    with pytest.raises(GitCommandRefused):
        GitCommand(name="rev-list", revisions=(text,))


@given(HOSTILE)
def test_no_text_outside_the_table_becomes_an_option(text: str) -> None:
    try:
        command = GitCommand(name="diff-tree", options=(text,))
    except GitCommandRefused:
        return
    with_a_count = ("-l", "--unified=", "--find-renames=")
    assert command.options[0] in {"-r", "-t", "-p", "-z", "-m", "-c"} or text.startswith(with_a_count)


@given(st.binary(min_size=1, max_size=40).filter(lambda raw: b"\0" not in raw))
def test_a_path_stays_behind_the_double_dash(path: bytes) -> None:
    arguments = GitCommand(name="log", options=(LOG_FORMAT,), revisions=(OID,), paths=(path,)).arguments()
    assert arguments[-2:] == [b"--", path]
    assert arguments.index(b"--end-of-options") < arguments.index(OID.encode())


@given(st.text(max_size=40).filter(lambda text: "\0" not in text))
def test_search_text_stays_inside_its_option(text: str) -> None:
    arguments = GitCommand(name="log", options=(f"--grep={text}",)).arguments()
    assert arguments == [b"log", f"--grep={text}".encode("utf-8", "surrogateescape")]


@pytest.mark.parametrize(
    "build",
    [
        lambda: GitCommand(name="gc"),
        lambda: GitCommand(name="push", options=("--receive-pack=x",)),
        lambda: GitCommand(name="-c"),
        lambda: GitCommand(name="upload-pack", folders=(Path("--strict"),)),
        lambda: GitCommand(name="cat-file", paths=(b"x",)),
        lambda: GitCommand(name="log", paths=(b"",)),
        lambda: GitCommand(name="log", paths=(b"a\0b",)),
        lambda: GitCommand(name="log", options=("--grep=a\0b",)),
        lambda: GitCommand(name="log", options=("--max-count=1x",)),
        lambda: GitCommand(name="rev-list", revisions=(f"{OID}\n",)),
        lambda: GitCommand(name="rev-list", revisions=(f"^^{OID}",)),
        lambda: GitCommand(name="rev-list", revisions=(f"{OID}..{OID}",)),
        lambda: GitCommand(name="range-diff", revisions=(OID, OID)),
        lambda: GitCommand(name="range-diff", revisions=(f"{OID}..--output=x",)),
        lambda: GitCommand(name="rev-list", revisions=(f"{OID}...HEAD",)),
    ],
)
def test_what_is_outside_the_grammar_is_refused(build: object) -> None:
    with pytest.raises(GitCommandRefused):
        build()  # type: ignore[operator]  # a parametrised lambda


def test_commands_inside_the_grammar_are_written_in_order() -> None:
    command = GitCommand(
        name="rev-list", options=("--objects", "--max-count=5"), revisions=(OID, exclude(OID), symmetric(OID, OID))
    )
    words = ["rev-list", "--objects", "--max-count=5", "--end-of-options", OID, f"^{OID}", f"{OID}...{OID}", "--"]
    assert command.arguments() == [word.encode() for word in words]
    assert GitCommand(name="cat-file", options=(CHECK_FORMAT,)).arguments()[1] == CHECK_FORMAT.encode()


def test_paths_without_a_separator_need_a_revision_before_them() -> None:
    """Attack: a path that looks like an option, where nothing ends the options."""
    with pytest.raises(GitCommandRefused):
        GitCommand(name="archive", paths=(b"--output=/tmp/x",))
    oid = "1" * 40
    made = GitCommand(name="archive", revisions=(oid,), paths=(b"--output=/tmp/x",)).arguments()
    assert made == [b"archive", b"--end-of-options", oid.encode(), b"--output=/tmp/x"]
