"""From what the pages of a repository are made: one point query tells whether a page that was made is still right."""

from dataclasses import dataclass

from cairn.access.roles import Visibility
from cairn.access.scopes import RepositoryScope
from cairn.db.database import Database, PointQuery
from cairn.git.store_state import STATE_COLUMNS
from cairn.identity.names import is_login
from cairn.repositories.names import is_repository_name

_OWN = (
    "id, owner_id, name, visibility, description, homepage, is_archived, is_withheld, updated_at, pushed_at, "
    "parent_id, topics, language, has_wiki, is_wiki_open, wiki_store_id, is_template, license, "
    "stars_count, watchers_count, mirror_url, is_mirror"
)
_NAMED = ", ".join(f"r.{column.strip()} AS {column.strip()}" for column in _OWN.split(","))
_STATE = ", ".join(f"s.{column} AS {column}" for column in STATE_COLUMNS)
# uq_account_login_key, uq_repository_owner_id_name_key, primary key of git_store; ix_repository_parent_id; for a fork
# the primary keys of its parent, whose refs its banner is compared with; uq_ruleset_repository_id_name and
# uq_ruleset_owner_id_name; uq_repository_mirror_repository_id_slot. Ids are never used twice, so number, last id and
# versions tell any change of rules.
_VERSIONS = PointQuery(
    f"SELECT o.login AS owner, o.kind AS owner_kind, {_NAMED}, {_STATE}, "  # noqa: S608 (constants)
    "(SELECT COUNT(*) FROM repository f WHERE f.parent_id = r.id AND f.visibility = 'public' "
    "AND f.is_withheld = FALSE AND f.is_deleted = FALSE) AS forks, "
    "p.name AS parent, p.visibility AS parent_visibility, "
    "(SELECT COUNT(*) FROM ruleset u WHERE u.repository_id = r.id OR u.owner_id = r.owner_id) AS rulesets, "
    "(SELECT MAX(u.id) FROM ruleset u WHERE u.repository_id = r.id OR u.owner_id = r.owner_id) AS last_ruleset, "
    "(SELECT SUM(u.version) FROM ruleset u WHERE u.repository_id = r.id OR u.owner_id = r.owner_id) AS rule_versions, "
    "p.is_withheld AS parent_is_withheld, q.login AS parent_owner, t.ref_version AS parent_version, "
    "t.head_target AS parent_head, l.tree_oid AS counted_tree, "
    "m.state AS mirror_state, m.synced_at AS mirrored_at, m.failures AS mirror_failures "
    "FROM account o JOIN repository r ON r.owner_id = o.id AND r.name_key = :name "
    "JOIN git_store s ON s.id = r.store_id "
    "LEFT JOIN repository p ON p.id = r.parent_id LEFT JOIN account q ON q.id = p.owner_id "
    "LEFT JOIN git_store t ON t.id = p.store_id LEFT JOIN repository_languages l ON l.repository_id = r.id "
    "LEFT JOIN repository_mirror m ON m.repository_id = r.id AND m.slot = 0 "
    "WHERE o.login_key = :owner"
)


@dataclass(frozen=True, slots=True)
class PageVersions:
    """The versions of one repository at one moment; ``text`` is equal as long as its pages are.

    ``scope`` is what somebody sees who has no grant there. ``has_refs``: it was pushed to at least once.
    """

    text: str
    scope: RepositoryScope
    has_refs: bool


async def read_versions(database: Database, owner: str, name: str) -> PageVersions | None:
    """Return the versions of the repository that has this name now; None for none. Asks nobody whether they may."""
    if not is_login(owner) or not is_repository_name(name):
        return None
    row = await database.fetch(_VERSIONS, owner=owner.lower(), name=name.lower())
    if row is None:
        return None
    scope = RepositoryScope(
        repository_id=int(row["id"]),
        owner_id=int(row["owner_id"]),
        visibility=Visibility(row["visibility"]),
        role=None,
        is_archived=bool(row["is_archived"]),
        is_withheld=bool(row["is_withheld"]),
    )
    return PageVersions(repr(tuple(row[name] for name in row.keys())), scope, row["ref_version"] > 0)  # noqa: SIM118 (a driver's row is no dict)
