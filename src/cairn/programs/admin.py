"""``cairnd admin``: accounts and tokens, by whoever may read the installation's settings.

It speaks to the database directly, as the system, and works while the other programs run. What it makes is audited like
everything else. Errors are one sentence on stderr, with exit code 1.
"""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import timedelta
from typing import Annotated, TypeVar

import typer

from cairn.audit.record import record
from cairn.base.actor import SYSTEM
from cairn.base.errors import CairnError, NotFound
from cairn.base.secret_box import SecretBox, forget_old_key_file, load_key_ring, replace_key_file
from cairn.base.settings import Settings, load_settings
from cairn.db.clock import database_now
from cairn.db.database import Database, open_database
from cairn.db.migrate import require_current
from cairn.db.sealed_columns import find_unreadable, reseal, sealed_columns
from cairn.identity import accounts
from cairn.identity.passwords import Passwords
from cairn.identity.queries import AccountRow, find_account, list_accounts
from cairn.identity.token_format import has_token_form, is_well_formed_token
from cairn.identity.tokens import create_token
from cairn.programs import admin_repair, admin_site
from cairn.programs.restore_refs import restore_refs_command
from cairn.programs.schema import metadata

T = TypeVar("T")
Work = Callable[[Database, Settings], Awaitable[T]]

app = typer.Typer(
    help="Administer from this machine: people, tokens, jobs, announcements, repairs.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

app.add_typer(admin_repair.app)

_CHECKED_BYTES_MAX = 4096
"""What is longer than this is no token, blanks around it included; a token has 40."""

Name = Annotated[str, typer.Argument(metavar="NAME", help="The account's name.")]
Password = Annotated[
    str | None,
    typer.Option(
        metavar="P", help="The password. Left out: asked for, or read as one line where stdin is no terminal."
    ),
]


@app.command()
def create_user(
    name: Name,
    email: Annotated[str, typer.Option(metavar="E", help="The e-mail address.")],
    password: Password = None,
    is_admin: Annotated[bool, typer.Option("--admin", help="Make the account a site administrator.")] = False,
) -> None:
    """Create an account."""
    secret = _password(password)

    async def work(database: Database, _: Settings) -> None:
        await accounts.create_account(
            database, Passwords(), SYSTEM, login=name, email=email, password=secret, is_site_admin=is_admin
        )

    _run(work)
    print(f"Created {'administrator' if is_admin else 'user'} {name}.")


@app.command(name="create-token")
def create_token_command(
    name: Name,
    scopes: Annotated[str, typer.Option(metavar="A,B", help="Scopes, separated by commas: repo,admin:org,...")],
    label: Annotated[str, typer.Option(metavar="TEXT", help="What the owner sees it called.")] = "cairnd admin",
    days: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="It works this long. Left out: for ever.")
    ] = None,
) -> None:
    """Create a personal token for an account and print it, alone."""

    async def work(database: Database, settings: Settings) -> str:
        async with database.write() as session:
            account = await find_account(session, name)
            if account is None:
                raise NotFound(f"There is no account {name[:60]!r}.")
            expires_at = None if days is None else await database_now(session, plus=timedelta(days=days))
            wanted = [scope.strip() for scope in scopes.split(",") if scope.strip()]
            made = await create_token(
                session,
                SYSTEM,
                account.id,
                name=label,
                scopes=wanted,
                expires_at=expires_at,
                lifetime_max_days=settings.token_lifetime_max_days,
            )
        return made.secret

    print(_run(work))


@app.command()
def check_token() -> None:
    """Say whether the text on standard input is a token by its checksum; exit code 0 if it is, 1 if not.

    Nothing is asked of the database: whether a real token still works, only its own installation knows.
    """
    if sys.stdin.isatty():
        text = typer.prompt("Token", hide_input=True)
    else:
        raw = sys.stdin.buffer.read(_CHECKED_BYTES_MAX + 1)
        text = raw.decode("utf-8", "replace") if len(raw) <= _CHECKED_BYTES_MAX else ""
    text = text.strip()
    if is_well_formed_token(text):
        print("The checksum holds: this is a token of a Cairn.")
        return
    if has_token_form(text):
        problem = "the checksum does not hold: this looks like a token of a Cairn, but is none."
    else:
        problem = "this is no token of a Cairn: one is crn_ and 36 letters and digits."
    print(f"cairnd admin: {problem}", file=sys.stderr)
    raise SystemExit(1)


@app.command()
def set_password(name: Name, password: Password = None) -> None:
    """Give an account another password and end its sessions."""
    secret = _password(password)

    async def work(database: Database, _: Settings) -> None:
        await accounts.set_password(database, Passwords(), SYSTEM, name, secret)

    _run(work)
    print(f"Changed the password of {name}.")


@app.command()
def suspend(
    name: Name,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why; administrators and the audit log tell it.")] = "",
) -> None:
    """Shut an account out: its sessions end, its tokens and keys stop working."""

    async def work(database: Database, _: Settings) -> None:
        async with database.write() as session:
            await accounts.suspend(session, SYSTEM, name, reason=reason)

    _run(work)
    print(f"Suspended {name}.")


@app.command()
def unsuspend(name: Name) -> None:
    """Let a suspended account in again."""

    async def work(database: Database, _: Settings) -> None:
        async with database.write() as session:
            await accounts.unsuspend(session, SYSTEM, name)

    _run(work)
    print(f"Let {name} in again.")


@app.command()
def invite() -> None:
    """Print a link with which one person can sign up within 7 days."""

    async def work(database: Database, settings: Settings) -> str:
        async with database.write() as session:
            secret = await accounts.invite(session, SYSTEM)
        return f"{settings.origin}{accounts.INVITATION_PATH}{secret}"

    print(_run(work))


app.command(name="restore-refs")(restore_refs_command)


@app.command()
def list_users(as_json: admin_site.AsJson = False) -> None:
    """List all accounts: name, address, what they are, separated by tabs."""

    async def work(database: Database, _: Settings) -> list[AccountRow]:
        found: list[AccountRow] = []
        async with database.read() as session:
            while rows := await list_accounts(session, SYSTEM, after_id=found[-1].id if found else 0, limit=500):
                found += rows
        return found

    rows = _run(work)
    if as_json:
        admin_site.print_json([asdict(row) for row in rows])
        return
    for row in rows:
        kind = "administrator" if row.is_site_admin else "user"
        print(f"{row.login}\t{row.email}\t{kind if row.suspended_at is None else f'{kind}, suspended'}")


@app.command()
def rotate_keys(
    is_new: Annotated[
        bool, typer.Option("--new", help="First make a new key in the data folder (SQLite); start Cairn anew after it.")
    ] = False,
) -> None:
    """Seal every secret anew with the current key, then check that nothing needs an old one.

    Safe beside running programs that know both keys, and may be stopped and started again at any moment.
    """
    if is_new:
        _explained(lambda: replace_key_file(load_settings(os.environ)))
        print("Made a new key. Start Cairn anew, then run `cairnd admin rotate-keys`.")
        return
    problems = _run(_rotate)
    for problem in problems:
        print(f"cairnd admin: {problem}", file=sys.stderr)
    if problems:
        raise SystemExit(1)
    print("Every secret carries the current key; the old ones may go (CAIRN_SECRET_KEYS_OLD).")


async def _rotate(database: Database, settings: Settings) -> list[str]:
    metadata()  # every table is known from here on
    box = SecretBox(load_key_ring(settings))
    for column in sealed_columns():
        async for so_far in reseal(database, box, column):
            print(f"{so_far.name}: {so_far.seen:,} looked at, {so_far.changed:,} sealed anew", file=sys.stderr)
    problems = await find_unreadable(database, box)
    if not problems:
        forget_old_key_file(settings)
        async with database.write() as session:
            record(session, SYSTEM, "secrets.rotate", "secret key")
    return problems


def _password(given: str | None) -> str:
    """Return the password: the option's, one typed twice, or the first line of stdin."""
    if given is not None:
        return given
    if sys.stdin.isatty():
        typed: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
        return typed
    return sys.stdin.readline().rstrip("\r\n")


def _run(work: Work[T]) -> T:
    """Do the work on this installation's database; exit 1 with a sentence where Cairn has one."""
    return _explained(lambda: asyncio.run(_with_database(load_settings(os.environ), work)))


def _explained(do: Callable[[], T]) -> T:
    try:
        return do()
    except CairnError as error:
        print(f"cairnd admin: {error.message}", file=sys.stderr)
        raise SystemExit(1) from None


async def _with_database(settings: Settings, work: Work[T]) -> T:
    database = open_database(settings.effective_database_url, pool_size=1)
    try:
        await require_current(database)
        return await work(database, settings)
    finally:
        await database.close()


admin_site.add_commands(app, _run)
