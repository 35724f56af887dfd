"""Words count for half an hour by the database's clock, where and for what they were made, and nowhere else."""

import pytest

from cairn.base.secret_box import SecretBox
from cairn.db.database import Database
from cairn.lfs import words
from cairn.lfs.words import Operation, Word, WordInvalid, Words, is_word

MINE = Word("SHA256:abc", 7, Operation.UPLOAD)


async def test_a_word_says_what_it_was_made_for(database: Database) -> None:
    own = Words(database, SecretBox(["k" * 40]))
    header = await own.make(MINE)
    assert is_word(header)
    assert "SHA256" not in header
    assert await own.read(header) == MINE


async def test_a_word_ends(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    own = Words(database, SecretBox(["k" * 40]))
    monkeypatch.setattr(words, "WORD_SECONDS", 0)
    header = await own.make(MINE)
    with pytest.raises(WordInvalid, match="are over"):
        await own.read(header)


async def test_a_word_of_a_former_key_counts_while_the_key_is_kept(database: Database) -> None:
    header = await Words(database, SecretBox(["a" * 40])).make(MINE)
    assert await Words(database, SecretBox(["b" * 40, "a" * 40])).read(header) == MINE
    with pytest.raises(WordInvalid, match="not made here"):
        await Words(database, SecretBox(["b" * 40])).read(header)


async def test_what_was_sealed_for_a_table_is_no_word(database: Database) -> None:
    """Attack: hand in a sealed value from a dump of the database."""
    import base64

    box = SecretBox(["k" * 40])
    sealed = box.seal(b'["SHA256:abc",7,"upload",9e12]', table="account", column="totp", row=1)
    with pytest.raises(WordInvalid):
        await Words(database, box).read("RemoteAuth " + base64.urlsafe_b64encode(sealed).decode())


@pytest.mark.parametrize("header", [None, "", "Basic eA==", "Bearer x"])
def test_other_credentials_are_no_words(header: str | None) -> None:
    assert not is_word(header)
