"""Nobody is given a repository without accepting it; an offer is worth what its maker may do on that day."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession
from tests.factories.accounts import LONG_AGO, actor_of, make_account, with_token
from tests.factories.actors import make_cast
from tests.factories.organizations import make_organization, make_team
from tests.factories.outcomes import act, outcome
from tests.factories.repositories import grant, make_repository

from cairn.access.models import Grant
from cairn.access.roles import Role, Visibility
from cairn.audit.models import AuditEntry
from cairn.base.actor import SYSTEM, Actor
from cairn.base.errors import CairnError, Forbidden, NotFound, Unauthenticated
from cairn.base.secret_box import SecretBox
from cairn.base.settings import Settings
from cairn.db.database import Database
from cairn.events.models import EventRow
from cairn.git.engine import open_engine
from cairn.identity.models import Account
from cairn.mail.outbox import Outbox, list_mails
from cairn.repositories.collaborators import put_collaborator
from cairn.repositories.create import InternalNotPossible, RepositoryExists
from cairn.repositories.delete import delete_repository
from cairn.repositories.models import Repository, RepositoryTransfer
from cairn.repositories.names import RepositoryNameInvalid
from cairn.repositories.network import NoReaderOfParent
from cairn.repositories.queries import RepositoryMoved, find_repository
from cairn.repositories.transfer import TransferInvalid, transfer_repository
from cairn.repositories.transfer_offers import (
    RECEIVED_MAX,
    TransferOver,
    accept_transfer,
    ask_transfer,
    cancel_transfer,
    decline_transfer,
    delete_expired_offers,
    list_own_offers,
    read_offer,
)
from cairn.repositories.update import RepositoryChange, update_repository
from cairn.storage.storage import open_storage

Do = Callable[[AsyncSession], Awaitable[object]]


@pytest.fixture
def outbox(tmp_path: Path) -> Outbox:
    """An outbox without a mail server."""
    settings = Settings(data_dir=tmp_path, external_url="http://cairn.test")
    return Outbox(settings, SecretBox(["k" * 32]), ("cairn.identity", "cairn.repositories"))


@dataclass
class Scene:
    """Ada's private ``ada/tool``, which she offers to Ben; Cleo is somebody else."""

    ada: Account
    ben: Account
    cleo: Account
    tool: Repository

    def actor(self, name: str) -> Actor:
        """Return one of them at the keyboard."""
        account: Account = getattr(self, name)
        return actor_of(account)


async def make_scene(database: Database, *, visibility: Visibility = Visibility.PRIVATE) -> Scene:
    """Return the scene, nothing offered yet."""
    async with database.write() as session:
        ada, ben, cleo = [await make_account(session, name) for name in ("ada", "ben", "cleo")]
        tool = await make_repository(session, ada, "Tool", visibility=visibility)
        return Scene(ada, ben, cleo, tool)


async def offer(database: Database, outbox: Outbox, scene: Scene, *, new_name: str | None = None) -> None:
    """Let Ada offer the repository to Ben."""
    async with database.write() as session:
        view = await ask_transfer(
            session, outbox, scene.actor("ada"), scene.tool.id, new_owner="ben", new_name=new_name
        )
        assert view.owner == "ada", "nothing has moved"


async def test_who_may_offer_and_cancel(database: Database, outbox: Outbox) -> None:
    async with database.write() as session:
        cast = await make_cast(session)
    hidden = {"anonymous", "stranger", "member", "suspended", "narrow token", "token for another repository",
              "deploy key for another repository", "fine-grained token for another owner"}  # fmt: skip
    allowed = {"owner", "administrator", "site administrator"}
    for name, actor in cast.actors.items():
        asked = act(ask_transfer, outbox, actor, cast.repository.id, new_owner="stranger")
        cancelled = act(cancel_transfer, actor, cast.repository.id)
        wanted: type[CairnError] | None = NotFound if name in hidden else None if name in allowed else Forbidden
        if name == "system":
            assert await outcome(database, asked) is Unauthenticated
            continue
        assert await outcome(database, asked) is wanted, name
        assert await outcome(database, cancelled) is (TransferOver if wanted is None else wanted), name
        assert await outcome(database, act(read_offer, actor, cast.repository.id)) is wanted, name


async def test_who_may_answer(database: Database, outbox: Outbox) -> None:
    scene = await make_scene(database)
    await offer(database, outbox, scene)
    async with database.write() as session:
        suspended = await make_account(session, "sue", suspended_at=LONG_AGO)
        root = await make_account(session, "root-like", is_site_admin=True)
    for answer in (accept_transfer, decline_transfer):
        for actor, wanted in [
            (scene.actor("ben"), None),
            (with_token(scene.actor("ben"), "repo"), None),
            (with_token(scene.actor("ben"), "read:user"), Forbidden),
            (with_token(scene.actor("ben"), "repo", repository_ids=frozenset({scene.tool.id})), Forbidden),
            (scene.actor("ada"), TransferOver),
            (scene.actor("cleo"), TransferOver),
            (actor_of(root), TransferOver),
        ]:
            found = await outcome(database, act(answer, actor, scene.tool.id))
            assert found is wanted, (answer, actor)
        for actor in (actor_of(suspended), SYSTEM):
            assert await outcome(database, act(answer, actor, scene.tool.id)) in {Forbidden, NotFound, Unauthenticated}
    # A token that may only make public repositories takes no private one.
    narrow = with_token(scene.actor("ben"), "public_repo")
    assert await outcome(database, act(accept_transfer, narrow, scene.tool.id)) is Forbidden


async def test_offered_accepted_and_told(any_database: Database, outbox: Outbox) -> None:
    scene = await make_scene(any_database)
    async with any_database.write() as session:
        await grant(session, scene.tool, scene.cleo, Role.WRITE)
        await grant(session, scene.tool, scene.ben, Role.READ)
    await offer(any_database, outbox, scene, new_name="hammer")
    async with any_database.write() as session:
        found = await read_offer(session, scene.actor("ada"), scene.tool.id)
        assert found is not None
        assert (found.full_name, found.new_owner, found.new_name) == ("ada/Tool", "ben", "hammer")
        assert found.expires_at - found.created_at == timedelta(days=7)
        assert await list_own_offers(session, scene.actor("ben")) == [found]
        assert await list_own_offers(session, scene.actor("cleo")) == []
        (mail,) = await list_mails(session, SYSTEM)
        words = await outbox.read(session, SYSTEM, mail.id)
        assert (mail.recipient, "http://cairn.test/settings/transfers" in words.text) == ("ben@example.test", True)
        assert "ada/Tool" in words.html
    async with any_database.write() as session:
        moved = await accept_transfer(session, scene.actor("ben"), scene.tool.id)
        assert (moved.full_name, moved.role) == ("ben/hammer", Role.ADMIN)
    async with any_database.read() as session:
        with pytest.raises(RepositoryMoved) as elsewhere:
            await find_repository(session, scene.actor("cleo"), "ada", "tool")
        assert (elsewhere.value.owner, elsewhere.value.name) == ("ben", "hammer")
        grants = await session.execute(select(Grant.account_id, Grant.role).order_by(Grant.account_id))
        assert sorted(tuple(row) for row in grants) == sorted([(scene.ada.id, Role.WRITE), (scene.cleo.id, Role.WRITE)])
        assert await list_own_offers(session, scene.actor("ben")) == []
        actions = (await session.scalars(select(AuditEntry.action).order_by(AuditEntry.id))).all()
        assert actions == [
            "repository.offer_transfer",
            "repository.accept_transfer",
            "repository.transfer",
            "repository.transfer",
        ]
        types = (await session.scalars(select(EventRow.type).order_by(EventRow.id))).all()
        assert types == ["transfer_offered", "transfer_closed", "repository_transferred"]
        assert await outcome(any_database, act(accept_transfer, scene.actor("ben"), scene.tool.id)) is TransferOver
    # Attack: who gave it away takes it back, or has somebody else let in.
    ada = scene.actor("ada")
    assert await outcome(any_database, act(transfer_repository, ada, scene.tool.id, new_owner="ada")) is Forbidden
    let_in = act(put_collaborator, ada, scene.tool.id, login="cleo", role=Role.ADMIN)
    assert await outcome(any_database, let_in) is Forbidden


@pytest.mark.parametrize(
    ("end", "who", "action"),
    [
        (decline_transfer, "ben", "repository.decline_transfer"),
        (cancel_transfer, "ada", "repository.cancel_transfer"),
    ],
    ids=["decline", "cancel"],
)
async def test_an_offer_that_ended_cannot_be_accepted(
    database: Database, outbox: Outbox, end: Callable[..., Awaitable[None]], who: str, action: str
) -> None:
    scene = await make_scene(database)
    await offer(database, outbox, scene)
    async with database.write() as session:
        await end(session, scene.actor(who), scene.tool.id)
    assert await outcome(database, act(accept_transfer, scene.actor("ben"), scene.tool.id)) is TransferOver
    async with database.read() as session:
        assert action in (await session.scalars(select(AuditEntry.action))).all()
        assert (await find_repository(session, scene.actor("ada"), "ada", "tool")).owner == "ada"
        told = (await session.scalars(select(EventRow.payload).where(EventRow.type == "transfer_closed"))).one()
        assert told["outcome"] == {"decline_transfer": "declined", "cancel_transfer": "cancelled"}[end.__name__]
    await offer(database, outbox, scene)  # and it can be offered again


async def test_an_offer_is_over_after_its_time_and_makes_way(any_database: Database, outbox: Outbox) -> None:
    scene = await make_scene(any_database)
    await offer(any_database, outbox, scene)
    found = await outcome(any_database, act(ask_transfer, outbox, scene.actor("ada"), scene.tool.id, new_owner="cleo"))
    assert found is TransferInvalid, "one open offer for each repository"
    async with any_database.write() as session:
        await session.execute(update(RepositoryTransfer).values(expires_at=LONG_AGO))
    ben, tool = scene.actor("ben"), scene.tool.id
    for answer in (accept_transfer, decline_transfer):
        assert await outcome(any_database, act(answer, ben, tool)) is TransferOver
    async with any_database.read() as session:
        assert await list_own_offers(session, ben) == []
        assert await read_offer(session, scene.actor("ada"), tool) is None
    assert await outcome(any_database, act(ask_transfer, outbox, scene.actor("ada"), tool, new_owner="cleo")) is None
    async with any_database.write() as session:
        assert await delete_expired_offers(session) == 1
        assert await delete_expired_offers(session) == 0
    await offer(any_database, outbox, scene)
    async with any_database.write() as session:
        assert await delete_expired_offers(session) == 0, "an open one stays"


async def test_an_offer_of_somebody_who_lost_the_right_is_worth_nothing(database: Database, outbox: Outbox) -> None:
    """Attack: an administrator offers a company's repository to a friend, is put out, and the friend accepts."""
    async with database.write() as session:
        cast = await make_cast(session)
    thief, friend, repository = cast.actors["administrator"], cast.actors["stranger"], cast.repository.id
    async with database.write() as session:
        await ask_transfer(session, outbox, thief, repository, new_owner="stranger")
    changes: list[Do] = [
        lambda session: session.execute(
            update(Grant).where(Grant.account_id == thief.account_id).values(role=Role.WRITE)
        ),
        lambda session: session.execute(
            update(Account).where(Account.id == thief.account_id).values(suspended_at=LONG_AGO)
        ),
    ]
    for change in changes:
        async with database.begin() as session:
            await change(session)
            with pytest.raises(TransferOver):
                await accept_transfer(session, friend, repository)
            await session.rollback()
    assert await outcome(database, act(accept_transfer, friend, repository)) is None, "as long as they may, it counts"


async def test_what_happens_to_the_repository_meanwhile(database: Database, outbox: Outbox, tmp_path: Path) -> None:
    scene = await make_scene(database)
    ada, ben, tool = scene.actor("ada"), scene.actor("ben"), scene.tool.id
    settings = Settings(data_dir=tmp_path / "node")
    await offer(database, outbox, scene)
    async with open_engine(settings, database, open_storage(settings)) as engine:
        async with database.write() as session:
            await update_repository(session, engine, ada, tool, RepositoryChange(name="renamed"))
        async with database.begin() as session:
            assert (await accept_transfer(session, ben, tool)).full_name == "ben/renamed"
            await session.rollback()
        async with database.begin() as session:
            guild = await make_organization(session, "guild", owner=await session.get_one(Account, scene.ada.id))
            await transfer_repository(session, ada, tool, new_owner=guild.login)
            with pytest.raises(TransferOver):
                await accept_transfer(session, ben, tool)
            await session.rollback()
        async with database.write() as session:
            await delete_repository(session, engine, ada, tool)
    assert await outcome(database, act(accept_transfer, ben, tool)) is TransferOver
    async with database.read() as session:
        assert await list_own_offers(session, ben) == []
        assert (await session.scalars(select(RepositoryTransfer))).all() == []


async def test_a_name_in_use_is_told_to_who_accepts_and_another_one_helps(database: Database, outbox: Outbox) -> None:
    scene = await make_scene(database)
    async with database.write() as session:
        await make_repository(session, scene.ben, "TOOL", visibility=Visibility.PRIVATE)
    await offer(database, outbox, scene)  # Ada does not learn that Ben has such a repository
    ben, tool = scene.actor("ben"), scene.tool.id
    assert await outcome(database, act(accept_transfer, ben, tool)) is RepositoryExists
    assert await outcome(database, act(accept_transfer, ben, tool, new_name="a b")) is RepositoryNameInvalid
    async with database.write() as session:
        assert (await accept_transfer(session, ben, tool, new_name="other")).full_name == "ben/other"


async def test_what_cannot_be_offered(database: Database, outbox: Outbox) -> None:
    scene = await make_scene(database)
    ada, tool = scene.actor("ada"), scene.tool.id
    async with database.write() as session:
        guild = await make_organization(session, "guild", owner=scene.ada)
        team = await make_team(session, guild, "core")
        internal = await make_repository(session, guild, "house", visibility=Visibility.INTERNAL)
        secret = await make_repository(session, scene.cleo, "secret", visibility=Visibility.PRIVATE)
        await grant(session, secret, scene.ada, Role.READ)
        fork = await make_repository(session, scene.ada, "fork", visibility=Visibility.PRIVATE)
        fork.parent_id = fork.source_id = secret.id
        gone = await make_account(session, "ghost-like")
        gone.deleted_at = LONG_AGO
    for repository_id, options, wanted in [
        (tool, {"new_owner": "nobody"}, TransferInvalid),
        (tool, {"new_owner": "ghost-like"}, TransferInvalid),
        (tool, {"new_owner": "ada"}, TransferInvalid),
        (tool, {"new_owner": "ben", "new_name": ".."}, RepositoryNameInvalid),
        (tool, {"new_owner": "ben", "team_ids": [team.id]}, TransferInvalid),
        (internal.id, {"new_owner": "ben"}, InternalNotPossible),
        (fork.id, {"new_owner": "ben"}, NoReaderOfParent),
        (tool, {"new_owner": "guild", "team_ids": [team.id]}, None),
        (internal.id, {"new_owner": "ada"}, InternalNotPossible),
    ]:
        found = await outcome(database, act(ask_transfer, outbox, ada, repository_id, **options))  # type: ignore[arg-type]
        assert found is wanted, options


async def test_one_person_is_offered_only_so_many(database: Database, outbox: Outbox) -> None:
    scene = await make_scene(database)
    async with database.write() as session:
        for _ in range(RECEIVED_MAX):
            other = await make_repository(session, scene.cleo)
            session.add(
                RepositoryTransfer(
                    repository_id=other.id,
                    new_owner_id=scene.ben.id,
                    new_name="",
                    asked_by_id=scene.cleo.id,
                    created_at=LONG_AGO,
                    expires_at=LONG_AGO + timedelta(days=36500),
                )
            )
    asked = act(ask_transfer, outbox, scene.actor("ada"), scene.tool.id, new_owner="ben")
    assert await outcome(database, asked) is TransferInvalid


async def _at_once(database: Database, *tries: Do) -> list[type[CairnError] | None]:
    """Do all in transactions of their own at the same time; return what each ended with."""

    async def one(do: Do) -> type[CairnError] | None:
        try:
            async with database.write() as session:
                await do(session)
        except CairnError as error:
            return type(error)
        return None

    return list(await asyncio.gather(*map(one, tries)))


async def test_of_two_answers_at_once_one_counts(any_database: Database, outbox: Outbox) -> None:
    scene = await make_scene(any_database)
    ben, ada, tool = scene.actor("ben"), scene.actor("ada"), scene.tool.id
    await offer(any_database, outbox, scene)
    found = await _at_once(any_database, *[act(accept_transfer, ben, tool) for _ in range(4)])
    assert sorted(map(str, found)) == sorted(map(str, [None, *[TransferOver] * 3]))
    async with any_database.read() as session:
        moves = (await session.scalars(select(EventRow).where(EventRow.type == "repository_transferred"))).all()
        assert len(moves) == 1
        assert (await find_repository(session, ben, "ben", "tool")).id == tool
    async with any_database.write() as session:
        await ask_transfer(session, outbox, ben, tool, new_owner="ada")
    ends = (act(accept_transfer, ada, tool), act(decline_transfer, ada, tool), act(cancel_transfer, ben, tool))
    found = await _at_once(any_database, *ends)
    # Who comes second finds nothing; Ben, too late, administers it as a collaborator no more than before.
    assert found.count(None) == 1, found


async def test_two_offers_at_once_make_one(any_database: Database, outbox: Outbox) -> None:
    scene = await make_scene(any_database)
    asked = [
        act(ask_transfer, outbox, scene.actor("ada"), scene.tool.id, new_owner=name) for name in ("ben", "cleo", "ben")
    ]
    found = await _at_once(any_database, *asked)
    assert sorted(map(str, found)) == sorted(map(str, [None, TransferInvalid, TransferInvalid]))


async def test_accepting_beside_a_deletion_or_a_rename(any_database: Database, outbox: Outbox, tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "node")
    scene = await make_scene(any_database)
    ada, ben = scene.actor("ada"), scene.actor("ben")
    async with open_engine(settings, any_database, open_storage(settings)) as engine:
        await offer(any_database, outbox, scene)
        renamed = act(update_repository, engine, ada, scene.tool.id, RepositoryChange(name="renamed"))
        found = await _at_once(any_database, act(accept_transfer, ben, scene.tool.id), renamed)
        # Ada only keeps the write role afterwards: her rename counts before, or not at all.
        assert found in ([None, None], [None, Forbidden]), found
        async with any_database.read() as session:
            name = "renamed" if found[1] is None else scene.tool.name
            assert (await find_repository(session, ben, "ben", name)).id == scene.tool.id
        async with any_database.write() as session:
            other = await make_repository(session, scene.ada, "other", visibility=Visibility.PRIVATE)
            await ask_transfer(session, outbox, ada, other.id, new_owner="ben")
        deleted = act(delete_repository, engine, ada, other.id)
        found = await _at_once(any_database, act(accept_transfer, ben, other.id), deleted)
        assert found in ([TransferOver, None], [None, None], [None, Forbidden]), found
        async with any_database.read() as session:
            assert (await session.get_one(Repository, other.id)).is_deleted == (found[1] is None)
            assert (await session.scalars(select(RepositoryTransfer))).all() == []
