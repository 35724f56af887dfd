"""The cast of the authorization tests: everybody who may ask, with session and token, and what they ask about."""

import re
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path

import httpx2
from tests.stories.browser import Browser, forms_of
from tests.stories.installation import PASSWORD, Installation, git, working_copy

ALL_SCOPES = (
    *("repo", "user", "admin:public_key", "admin:ssh_signing_key", "admin:gpg_key", "delete_repo", "admin:org"),
)
NARROW_SCOPES = ("read:user",)


class Rank(IntEnum):
    """What somebody is to a repository, weakest first; the test's own words, not the program's."""

    NOBODY = 0
    READER = 1
    WRITER = 2
    ADMIN = 4


@dataclass
class Person:
    """One way of asking: a browser's cookies for pages, a token for the API; ``token_on_pages`` has no cookies."""

    name: str
    rank: Rank
    pages: httpx2.Client
    api: httpx2.Client
    scopes: frozenset[str] | None = None
    """What a token was left with; None: everything the person may do."""
    is_known: bool = True
    """False for who has no working credential: nobody, the suspended, the holder of an expired token."""
    csrf: dict[str, str] = field(default_factory=dict)

    def csrf_token(self) -> str:
        """Return a form token of this person's browser."""
        if "token" not in self.csrf:
            page = self.pages.get("/-/appearance")
            found = [form.fields["csrf_token"] for form in forms_of(page.text) if "csrf_token" in form.fields]
            self.csrf["token"] = found[0] if found else ""
        return self.csrf["token"]


@dataclass
class Cast:
    """Everybody, and the repositories ``ada/secret`` (private) and ``ada/open`` (public) they ask about."""

    cairn: Installation
    people: dict[str, Person]
    head: str
    blob: str
    tag: str

    @property
    def database(self) -> Path:
        """The installation's SQLite file."""
        return self.cairn.folder / "data" / "cairn.db"

    def rows(self, sql: str, *values: object) -> list[tuple[object, ...]]:
        """Return what a query finds."""
        with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as connection:
            return connection.execute(sql, values).fetchall()

    def change(self, sql: str, *values: object) -> None:
        """Change rows behind the program's back, as time or an administrator would."""
        with closing(sqlite3.connect(self.database, timeout=10)) as connection:
            changed = connection.execute(sql, values).rowcount
            connection.commit()
        assert changed, sql


def make_cast(cairn: Installation, folder: Path) -> Cast:
    """Make the accounts, repositories, roles and tokens on a running installation."""
    tokens = {login: join(cairn, login) for login in ("ada", "stan", "rita", "wim", "adele", "sue")}
    with cairn.client(tokens["ada"][1]) as owner:
        for name, is_private in (("secret", True), ("open", False)):
            _require(owner.post("/api/v3/user/repos", json={"name": name, "private": is_private}))
            for login, word in (("rita", "pull"), ("wim", "push"), ("adele", "admin"), ("sue", "admin")):
                _require(owner.put(f"/api/v3/repos/ada/{name}/collaborators/{login}", json={"permission": word}))
    work = working_copy(folder, {"README.md": "# Hello\n", "src/main.py": "print()\n", "src/README.md": "# Source\n"})
    git("tag", "-am", "One", "v1", cwd=work)
    for name in ("secret", "open"):
        url = cairn.url(f"ada/{name}", user="ada", secret=tokens["ada"][1])
        git("push", url, "main", "v1", cwd=work)
    oids = git("rev-parse", "main", "main:README.md", "v1", cwd=work).split()
    narrow, expired = (make_token(cairn, tokens["ada"][0], scopes) for scopes in (NARROW_SCOPES, ALL_SCOPES))
    cast = Cast(cairn, {}, *oids)
    cast.change("UPDATE account SET suspended_at = '2026-01-01 00:00:00.000000' WHERE login = 'sue'")
    cast.change("UPDATE account_token SET expires_at = '2026-01-01 00:00:00.000000' WHERE last_characters = ?",
                _last_characters(cast, expired))  # fmt: skip
    ranks = {"ada": Rank.ADMIN, "stan": Rank.NOBODY, "rita": Rank.READER, "wim": Rank.WRITER, "adele": Rank.ADMIN}
    cast.people = {
        "anonymous": Person("anonymous", Rank.NOBODY, cairn.client(), cairn.client(), is_known=False),
        **{
            login: Person(login, rank, tokens[login][0], cairn.client(tokens[login][1]))
            for login, rank in ranks.items()
        },
        "suspended": Person("suspended", Rank.NOBODY, tokens["sue"][0], cairn.client(tokens["sue"][1]), is_known=False),
        "narrow token": Person(
            "narrow token", Rank.ADMIN, cairn.client(narrow), cairn.client(narrow), scopes=frozenset(NARROW_SCOPES)
        ),
        "expired token": Person(
            "expired token", Rank.NOBODY, cairn.client(expired), cairn.client(expired), is_known=False
        ),
    }
    return cast


def join(cairn: Installation, login: str) -> tuple[httpx2.Client, str]:
    """Sign somebody up and return their browser's client, signed in, and a token with ALL_SCOPES."""
    client = cairn.client()
    browser = Browser(client)
    browser.open("/join")
    browser.submit(login=login, email=f"{login}@example.org", password=PASSWORD)
    return client, make_token(cairn, client, ALL_SCOPES)


def make_token(cairn: Installation, client: httpx2.Client, scopes: tuple[str, ...]) -> str:
    """Make a token by the form and return it."""
    browser = Browser(client)
    browser.open("/settings/tokens/new")
    form = next(form for form in forms_of(browser.page.text) if "lifetime" in form.names)  # type: ignore[union-attr]
    fields = form.fields | {"name": "laptop", "lifetime": "30", "scopes": list(scopes)}
    answer = client.post("/settings/tokens/new", data=fields, headers={"origin": cairn.origin})
    found = re.search(r"\bcrn_[0-9A-Za-z]{36}\b", answer.text)
    assert found, f"no token: {answer.status_code}"
    return found[0]


def _last_characters(cast: Cast, token: str) -> str:
    found = [str(row[0]) for row in cast.rows("SELECT last_characters FROM account_token")]
    return next(characters for characters in found if characters and token.endswith(characters))


def _require(answer: httpx2.Response) -> None:
    assert answer.is_success, f"{answer.request.url}: {answer.status_code} {answer.text[:300]}"


def tables_of(path: Path, *, without: Mapping[str, frozenset[str]]) -> dict[str, int]:
    """Return a hash of the rows of each table; ``without`` names columns to leave out, ``*`` the whole table."""
    found: dict[str, int] = {}
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        names = [str(row[0]) for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for name in names:
            left_out = without.get(name, frozenset())
            if "*" in left_out:
                continue
            columns = [str(row[1]) for row in connection.execute(f'PRAGMA table_info("{name}")')]
            chosen = ", ".join(f'"{column}"' for column in columns if column not in left_out)
            found[name] = hash(tuple(sorted(map(repr, connection.execute(f'SELECT {chosen} FROM "{name}"')))))
    return found
