"""``cairnd admin`` as an operator runs it: the real command on a real database."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import TypeVar

import pytest
from sqlalchemy import select
from tests.factories.authentication import ADDRESS, PASSWORD, make_authentication

from cairn.audit.models import AuditEntry
from cairn.base.settings import Settings
from cairn.db.database import open_database
from cairn.identity.accounts import sign_up
from cairn.identity.authenticate import AccountSuspended, Authenticated, BadCredentials
from cairn.identity.credentials import Credential, PasswordCredential, TokenCredential
from cairn.identity.models import Account
from cairn.identity.passwords import Passwords
from cairn.identity.token_format import make_token

T = TypeVar("T")


class Operator:
    """Somebody at the machine's command line."""

    def __init__(self, url: str) -> None:
        self.url = url

    def run(self, *arguments: str, stdin: str = "", **settings: str) -> "subprocess.CompletedProcess[str]":
        """Run ``cairnd admin``."""
        environ = {name: value for name, value in os.environ.items() if not name.startswith("CAIRN_")}
        environ |= {"CAIRN_DATABASE_URL": self.url, "CAIRN_EXTERNAL_URL": "https://cairn.test"} | settings
        return subprocess.run(
            [sys.executable, "-m", "cairn.programs.cairnd", "admin", *arguments],
            capture_output=True, text=True, check=False, timeout=60, input=stdin, env=environ,
        )  # fmt: skip

    def does(self, *arguments: str, stdin: str = "") -> str:
        """Run a command that works; return what it prints."""
        done = self.run(*arguments, stdin=stdin)
        assert (done.returncode, done.stderr) == (0, ""), done
        return done.stdout

    def is_refused(self, *arguments: str, stdin: str = "") -> str:
        """Run a command that is refused; return the sentence."""
        done = self.run(*arguments, stdin=stdin)
        assert (done.returncode, done.stdout) == (1, ""), done
        [line] = done.stderr.splitlines()
        assert line.startswith("cairnd admin: ")
        return line.removeprefix("cairnd admin: ")

    def create(self, name: str, *more: str) -> str:
        """Create a user with the password of these tests."""
        return self.does("create-user", name, "--email", f"{name}@x.test", "--password", PASSWORD, *more)


@pytest.fixture
def operator(database_url: str) -> Operator:
    return Operator(database_url)


def signed_in(url: str, credential: Credential) -> Authenticated:
    async def work() -> Authenticated:
        database = open_database(url, pool_size=1)
        try:
            return await make_authentication(database).authenticator.authenticate(credential)
        finally:
            await database.close()

    return in_loop(work())


def in_loop(work: Coroutine[None, None, T]) -> T:
    return asyncio.run(work)


def password_of(name: str, password: str = PASSWORD) -> PasswordCredential:
    return PasswordCredential(name, password, ADDRESS)


def test_a_created_user_can_sign_in(operator: Operator) -> None:
    assert operator.create("alice") == "Created user alice.\n"
    found = signed_in(operator.url, password_of("alice@x.test"))
    assert (found.actor.login, found.actor.is_site_admin) == ("alice", False)
    assert operator.create("root-1", "--admin") == "Created administrator root-1.\n"
    assert signed_in(operator.url, password_of("root-1")).actor.is_site_admin


def test_a_token_is_told_from_a_look_alike_without_a_database() -> None:
    """What was read is never said again: it may be a secret that works."""
    operator, token = Operator("sqlite:////nowhere/at/all.db"), make_token()
    assert operator.does("check-token", stdin=f"  {token}\n") == "The checksum holds: this is a token of a Cairn.\n"
    changed = token[:-1] + ("0" if token[-1] != "0" else "1")
    said = operator.is_refused("check-token", stdin=changed)
    assert said == "the checksum does not hold: this looks like a token of a Cairn, but is none."
    for stdin in (f"{token} {token}", token + "\n" * 5000):
        said = operator.is_refused("check-token", stdin=stdin)
        assert said == "this is no token of a Cairn: one is crn_ and 36 letters and digits."


def test_what_is_done_here_is_audited_as_the_system(operator: Operator) -> None:
    operator.create("alice")

    async def entries() -> list[tuple[str, str, str]]:
        database = open_database(operator.url, pool_size=1)
        try:
            async with database.read() as session:
                return [(row.actor, row.action, row.target) for row in await session.scalars(select(AuditEntry))]
        finally:
            await database.close()

    assert in_loop(entries()) == [("system", "account.create", "alice")]


def test_a_password_comes_from_stdin_where_none_is_given(operator: Operator) -> None:
    operator.does("create-user", "alice", "--email", "a@x.test", stdin=f"{PASSWORD}\n")
    assert signed_in(operator.url, password_of("alice")).actor.login == "alice"
    assert "at least 8 characters" in operator.is_refused("create-user", "bob", "--email", "b@x.test")


REFUSED = [
    (("create-user", "alice", "--email", "n@x.test", "--password", PASSWORD), "'alice' is taken"),
    (("create-user", "new-1", "--email", "ALICE@x.test", "--password", PASSWORD), "e-mail address"),
    (("create-user", "api", "--email", "n@x.test", "--password", PASSWORD), "reserved"),
    (("create-user", "a/b", "--email", "n@x.test", "--password", PASSWORD), "not allowed"),
    (("create-user", "new-1", "--email", "nobody", "--password", PASSWORD), "not an e-mail address"),
    (("create-user", "new-1", "--email", "n@x.test", "--password", "short"), "at least 8 characters"),
    (("create-token", "nobody", "--scopes", "repo"), "no account 'nobody'"),
    (("create-token", "alice", "--scopes", "repo,everything"), "'everything' is no scope"),
    (("set-password", "nobody", "--password", PASSWORD), "no account 'nobody'"),
    (("suspend", "nobody"), "no account 'nobody'"),
    (("unsuspend", "nobody"), "no account 'nobody'"),
]


def test_errors_are_one_sentence_on_stderr(operator: Operator) -> None:
    operator.create("alice")
    for arguments, says in REFUSED:
        assert says in operator.is_refused(*arguments), arguments


def test_a_token_is_printed_alone_and_works_with_its_scopes(operator: Operator) -> None:
    operator.create("alice")
    printed = operator.does("create-token", "ALICE", "--scopes", "repo, admin:org,", "--days", "3")
    assert printed.endswith("\n")
    token = printed[:-1]
    assert "\n" not in token
    found = signed_in(operator.url, TokenCredential(token))
    assert found.actor.limits is not None
    assert found.actor.limits.scopes == {"repo", "admin:org"}
    assert found.token_expires_at is not None


def test_a_new_password_replaces_the_old_one(operator: Operator) -> None:
    operator.create("alice")
    operator.does("set-password", "alice", "--password", "another password")
    with pytest.raises(BadCredentials):
        signed_in(operator.url, password_of("alice"))
    signed_in(operator.url, password_of("alice", "another password"))


def test_a_suspended_account_is_shut_out_until_it_is_let_in(operator: Operator) -> None:
    operator.create("alice")
    assert "too long" in operator.is_refused("suspend", "alice", "--reason", "x" * 501)
    operator.does("suspend", "alice", "--reason", "left the company")
    with pytest.raises(AccountSuspended):
        signed_in(operator.url, password_of("alice"))
    assert operator.does("list-users") == "alice\talice@x.test\tuser, suspended\n"
    operator.does("unsuspend", "alice")
    signed_in(operator.url, password_of("alice"))


def test_users_are_listed_by_age(operator: Operator) -> None:
    assert operator.does("list-users") == ""
    operator.create("zoe", "--admin")
    operator.create("adam")
    assert operator.does("list-users").splitlines() == ["zoe\tzoe@x.test\tadministrator", "adam\tadam@x.test\tuser"]


def test_an_invitation_lets_one_person_sign_up(operator: Operator) -> None:
    link = operator.does("invite").strip()
    start = "https://cairn.test/join?invitation="
    assert link.startswith(start)

    async def work() -> None:
        database = open_database(operator.url, pool_size=1)
        try:
            settings = Settings(registration="invite")
            await sign_up(
                database, Passwords(), settings, login="new-1", email="n@x.test", password=PASSWORD,
                invitation=link.removeprefix(start),
            )  # fmt: skip
            async with database.read() as session:
                assert await session.scalar(select(Account.login)) == "new-1"
        finally:
            await database.close()

    in_loop(work())


def test_an_old_schema_is_refused_with_the_command_that_helps(tmp_path: Path) -> None:
    operator = Operator(f"sqlite:///{tmp_path / 'empty.db'}")
    assert "cairnd migrate" in operator.is_refused("list-users")


def test_a_wrong_setting_is_named(tmp_path: Path) -> None:
    assert "CAIRN_DATABASE_URL" in Operator("oracle://x").is_refused("list-users")


def test_tokens_keep_to_the_longest_lifetime_of_the_installation(operator: Operator) -> None:
    operator.does("create-user", "alice", "--email", "alice@example.org", "--password", "correct horse battery")
    bound = {"CAIRN_TOKEN_LIFETIME_MAX_DAYS": "30"}
    for words in ((), ("--days", "31")):
        refused = operator.run("create-token", "alice", "--scopes", "repo", *words, **bound)
        assert (refused.returncode, refused.stdout) == (1, "")
        assert "lives at most 30 days" in refused.stderr
    made = operator.run("create-token", "alice", "--scopes", "repo", "--days", "30", **bound)
    assert made.returncode == 0, made.stderr
    assert made.stdout.startswith("crn_")
