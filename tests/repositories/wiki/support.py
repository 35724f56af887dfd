"""A wiki's files put there as a push would, whatever they are called."""

from collections.abc import Mapping

from tests.factories.forge import Forge, Person

from cairn.base.clock import utc_now
from cairn.base.ids import random_id
from cairn.git.quarantine import Quarantine
from cairn.git.ref_transaction import RefUpdate
from cairn.git.types import ZERO_OID, Oid, Signature
from cairn.git.writing import File, commit_files
from cairn.repositories.queries import RepositoryView, find_repository_by_id
from cairn.repositories.wiki.edit import with_store
from cairn.repositories.wiki.landing import make_wiki_within

MAIN = b"refs/heads/main"


async def commit_files_to_wiki(
    forge: Forge, person: Person, repository: RepositoryView, files: Mapping[bytes, bytes | None]
) -> Oid:
    """Land a commit on the wiki's branch and return it."""
    repository = await with_store(forge.engine, person.actor, repository)
    assert repository.wiki_store_id is not None
    head = await forge.engine.refs.find(repository.wiki_store_id, MAIN)
    author = Signature("Ada", "ada@example.test", utc_now().replace(microsecond=0))
    made: list[Oid] = []

    async def write(quarantine: Quarantine) -> list[RefUpdate]:
        oid = await commit_files(
            quarantine,
            parents=[head.oid] if head else [],
            changes={path: None if data is None else File(data) for path, data in files.items()},
            author=author,
            committer=author,
            message="Pushed",
        )
        made.append(oid)
        return [RefUpdate(MAIN, head.oid if head else ZERO_OID, oid)]

    staged = await forge.engine.stage(repository.wiki_store_id, write)
    within = make_wiki_within(person.actor, repository.id)
    outcomes = await forge.engine.land(staged, push_id=random_id(), actor="test", within=within)
    assert [outcome.refusal for outcome in outcomes] == [""]
    return made[0]


async def reload(forge: Forge, person: Person, repository: RepositoryView) -> RepositoryView:
    """Return the repository as it is now, with its wiki's store if it has one."""
    async with forge.database.read() as session:
        return await find_repository_by_id(session, person.actor, repository.id)
