"""What rules read of a commit, and whose signature counts."""

from pathlib import Path

import pytest
from sqlalchemy import select
from tests.factories.accounts import LONG_AGO
from tests.factories.ruled import make_ruled
from tests.factories.signing import make_ssh_key

from cairn.db.database import Database
from cairn.git.engine import Engine
from cairn.git.quarantine import Quarantine
from cairn.git.reading import ObjectReader
from cairn.git.ref_transaction import RefUpdate
from cairn.git.types import ZERO_OID, Oid
from cairn.git.writing import write_raw_commit
from cairn.identity.models import AccountEmail
from cairn.identity.signing_keys import add_signing_key
from cairn.repositories.accept_push import make_within
from cairn.repositories.rules.commit_checks import CommitFacts, linear_problems, take_apart

HEAD = b"tree " + b"0" * 40 + b"\nauthor A <a@x.test> 1 +0000\ncommitter C <c@x.test> 1 +0000\n"
TOPIC = b"refs/heads/topic"


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (HEAD + b"\nm\n", CommitFacts(b"m\n", b"a@x.test", b"c@x.test")),
        (HEAD + b"encoding iso-8859-1\n\n\xe9\n", CommitFacts("é\n".encode(), b"a@x.test", b"c@x.test")),
        (HEAD + b"encoding base64\n\nm", CommitFacts(b"m", b"a@x.test", b"c@x.test")),
        (HEAD + b"encoding \xff\n\n\xff", CommitFacts("\ufffd".encode(), b"a@x.test", b"c@x.test")),
        (b"tree x\n\nm", CommitFacts(b"m", b"", b"")),
        (HEAD + b"gpgsig x\n author E <e@x.test>\n\nm", CommitFacts(b"m", b"a@x.test", b"c@x.test")),
    ],
    ids=range(6),
)
def test_a_commit_is_taken_apart_as_utf_8(raw: bytes, expected: CommitFacts) -> None:
    assert take_apart(raw) == expected


def test_a_merge_is_no_straight_line() -> None:
    one, two = Oid("1" * 40), Oid("2" * 40)
    [said] = linear_problems([one, two], {one: [two, two], two: []})
    assert said.startswith("commit 1111111111 is a merge")


async def test_only_a_signature_that_counts_passes(database: Database, engine: Engine, tmp_path: Path) -> None:
    ruled = await make_ruled(database, engine)
    key = make_ssh_key(tmp_path)
    async with database.write() as session:
        await add_signing_key(session, ruled.writer, ruled.bob.id, title="k", text=key.public)
        email = await session.scalar(select(AccountEmail).where(AccountEmail.account_id == ruled.bob.id))
        assert email is not None
        email.verified_at = LONG_AGO
    base = await ruled.tip()
    async with engine.view(await engine.state(ruled.repository.store_id)) as view:
        reader = ObjectReader(view.path)
        tree = (await reader.read_commit(base)).tree_oid
        reader.close()

    async def signed(email: str, *, is_signed: bool = True) -> Oid:
        who = f"Bob <{email}> 1700000000 +0000"
        head = f"tree {tree}\nparent {base}\nauthor {who}\ncommitter {who}\n".encode()
        body = b"\nSigned work\n"
        signature = key.sign(head + body).rstrip(b"\n").replace(b"\n", b"\n ") if is_signed else b""
        raw = head + (b"gpgsig " + signature + b"\n" if is_signed else b"") + body
        made: list[Oid] = []

        async def write(quarantine: Quarantine) -> list[RefUpdate]:
            made.append(await write_raw_commit(quarantine, raw))
            return [RefUpdate(b"refs/kept/" + made[0].encode(), ZERO_OID, made[0])]

        staged = await engine.stage(ruled.repository.store_id, write)
        within = make_within(ruled.writer, ruled.repository.id)
        await engine.land(staged, push_id=made[0][:32], actor="test", within=within)
        return made[0]

    await ruled.rule("required_signatures")
    assert "has no signature that counts" in await ruled.move(TOPIC, await signed("bob@example.test", is_signed=False))
    assert "belongs to another account" in await ruled.move(TOPIC, await signed("ada@example.test"))
    assert await ruled.move(TOPIC, await signed("bob@example.test")) == ""
