"""Authorization of the whole route table (A1), foreign ids (A3), reading that never writes (A5), reserved names.

What each answer must be is worked out here from a route's declaration and from who asks, in the test's own words:
neither the program's rule nor its handlers are asked. So a handler that forgets its check, or checks after it has
looked at the input, is found on the day it is added.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

import httpx2
import pytest
from tests.stories.installation import Installation, installation, ssh_key
from tests.stories.people import Cast, Person, Rank, make_cast, tables_of
from tests.stories.route_table import route_table
from tests.stories.walked_addresses import (
    FOR_READERS,
    FORKING,
    QUERIES,
    REFUSED_FOR_WHAT_IT_IS,
    WHO_ASKS,
    address_of,
    names_nothing,
)
from tests.stories.walked_bodies import body_of, gpg_key

from cairn.access.actions import IMPLIED_SCOPES, Action, Resource
from cairn.identity.names import RESERVED_LOGINS, is_login
from cairn.web.routing import DeclaredRoute

WANTED_RANK = {
    Action.REPOSITORY_SEE: Rank.READER,
    Action.REPOSITORY_READ: Rank.READER,
    Action.REPOSITORY_PUSH: Rank.WRITER,
    Action.REPOSITORY_MAINTAIN: Rank.ADMIN,
    Action.REPOSITORY_ADMINISTER: Rank.ADMIN,
    Action.REPOSITORY_READ_KEYS: Rank.ADMIN,
    Action.REPOSITORY_EDIT_KEYS: Rank.ADMIN,
    Action.REPOSITORY_TRANSFER: Rank.ADMIN,
    Action.REPOSITORY_DELETE: Rank.ADMIN,
}
"""Nobody in the cast has the maintain role, which lies between writer and admin."""
ABOUT_OWN_INVITATIONS = {Action.ACCOUNT_READ_INVITATIONS, Action.ACCOUNT_ANSWER_INVITATIONS}
"""An organization stands in the address, but it is the caller's own account that is asked about."""
OPEN_TO_ALL = {Action.SITE_VISIT, Action.SITE_MONITOR, Action.ACCOUNT_READ}
WITHOUT_TOKENS = {Action.SITE_SIGN_IN, Action.ACCOUNT_EDIT_TOKENS, Action.ACCOUNT_EDIT_SECURITY}
NEEDS_SIGN_IN = {
    *("/api/v3/user", "/api/v3/user/repos", "/api/v3/user/orgs", "/api/v3/user/teams", "/settings", "/-/sudo"),
    *("/api/v3/user/starred", "/api/v3/user/subscriptions"),
    *("/api/v3/user/memberships/orgs", "/api/v3/user/memberships/orgs/{org}", "/-/emails/verify"),
}
"""Routes of an action that is open to all, about "me": they want to know who asks."""
VOLATILE = {
    "account_session": frozenset({"last_used_at", "expires_at"}),
    "account_token": frozenset({"last_used_at"}),
    "account_ssh_key": frozenset({"last_used_at", "last_used_address"}),
    "running_program": frozenset({"last_seen_at"}),
}
"""What is written apart from requests: when a credential was last used, that a program still runs."""
UNLIMITED = {"CAIRN_RATE_SEARCH_PER_MINUTE": "0", "CAIRN_RATE_SEARCH_ANONYMOUS_PER_MINUTE": "0"}
"""One client asks for every search as everybody."""


ASKING_FOR_HEAD = {"stan", "narrow token"}


ORGANIZATION, TEAM = "acme", "core"
"""Adele's organization and a team in it; nobody else of the cast belongs to either."""


class Verdict(Enum):
    """What must come back."""

    ALLOWED = "allowed"
    REFUSED = "refused"
    """401 or 403, or the sign-in page: the thing may be known to exist."""
    HIDDEN = "hidden"
    """404, exactly as for a repository that does not exist."""
    BAD_CREDENTIALS = "bad credentials"
    """401 or 403 whatever is asked for."""


@dataclass(frozen=True)
class World:
    """The running program, its cast and its routes."""

    cast: Cast
    routes: list[DeclaredRoute]
    key_line: str

    @cached_property
    def numbers(self) -> dict[str, str]:
        """The numbers of what stays as long as the world does: read once, for thousands of requests."""
        ask = self.cast.rows
        return {
            "organization_id": str(ask("SELECT id FROM account WHERE login = ?", ORGANIZATION)[0][0]),
            "team_id": str(ask("SELECT id FROM team WHERE slug = ?", TEAM)[0][0]),
            "account_id": str(ask("SELECT id FROM account WHERE login = 'wim'")[0][0]),
        }

    def url(self, route: DeclaredRoute, repository: str) -> str:
        """Return the address of a route about one of the repositories."""
        wants_id = "repository_id" in route.parameters
        found = self.cast.rows("SELECT id FROM repository WHERE name = ?", repository) if wants_id else []
        values = {
            **self.numbers,
            "owner": "ada",
            "repo": repository,
            "repository_id": str(found[0][0]) if found else "999999",
            "username": "wim",
            "login": "wim",
            "oid": self.cast.head,
            "commit_sha": self.cast.head,
            "file_sha": self.cast.blob,
            "tag_sha": self.cast.tag,
            **dict.fromkeys(("key_id", "gpg_key_id", "ssh_signing_key_id", "ruleset_id", "suite_id"), "999999"),
            **dict.fromkeys(("release_id", "asset_id", "mirror_id"), "999999"),
            "name": "Python" if "gitignore" in route.path else "engine.bin",
            "key": "mit",
            "secret": "unknown",
            "file_name": "1f680.svg" if "emoji" in route.path else "ada.svg",
            "org": ORGANIZATION,
            "slug": TEAM,
            **dict.fromkeys(
                (
                    "avatar_id",
                    "announcement_id",
                    "job_id",
                    "mail_id",
                    "invitation_id",
                    "token_id",
                    "pat_id",
                    "deleted_id",
                ),
                "999999",
            ),
            "address": address_of(route),
        }
        missing = route.parameters - values.keys()
        assert not missing, f"give {route.path} a value for {sorted(missing)} here"
        filled = re.sub(r"\{(\w+)\}", lambda match: values[match[1]], route.path)
        return filled + QUERIES.get(route.path, "")


@pytest.fixture(scope="module")
def cairn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with installation(tmp_path_factory.mktemp("access"), settings=UNLIMITED, program="web") as running:
        yield running


@pytest.fixture(scope="module")
def world(cairn: Installation, tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("cast")
    made = World(make_cast(cairn, folder / "work"), route_table(cairn.environment), ssh_key(folder)[0])
    adele = made.cast.people["adele"]
    fields = {"login": ORGANIZATION, "csrf_token": adele.csrf_token()}
    answer = adele.pages.post("/organizations/new", data=fields, headers={"origin": cairn.origin})
    assert answer.is_redirect, answer.text
    assert adele.api.post(f"/api/v3/orgs/{ORGANIZATION}/teams", json={"name": TEAM}).status_code == 201
    return made


def expected(route: DeclaredRoute, person: Person, *, is_private: bool) -> Verdict:
    """Return what a person must get from a route, by its declaration alone."""
    action, is_api = route.declaration.action, route.declaration.kind == "api"
    if person.name == "expired token" or (person.name == "suspended" and is_api):
        return Verdict.BAD_CREDENTIALS
    if {"slug", "repo"} <= route.parameters and person.name != "adele":
        return Verdict.HIDDEN
    if action is Action.SITE_ADMINISTER:
        return Verdict.HIDDEN  # nobody of the cast administers the site
    if route.declaration.resource == "repository":
        return _on_repository(route, action, person, is_private=is_private)
    if action in ABOUT_OWN_INVITATIONS:
        return Verdict.ALLOWED if person.is_known and _has_scope(person, action) else Verdict.REFUSED
    if "org" in route.parameters or action.facts.resource in {Resource.ORGANIZATION, Resource.TEAM}:
        return _on_organization(route, action, person)
    if action in OPEN_TO_ALL:
        wants_account = route.path in NEEDS_SIGN_IN and not person.is_known
        return Verdict.REFUSED if wants_account else Verdict.ALLOWED
    if action in WITHOUT_TOKENS and person.scopes is not None:
        return Verdict.REFUSED
    if action is Action.SITE_SIGN_IN:
        return Verdict.REFUSED if route.path in NEEDS_SIGN_IN and not person.is_known else Verdict.ALLOWED
    if not person.is_known or not _has_scope(person, action):
        return Verdict.REFUSED
    return Verdict.ALLOWED


def _on_organization(route: DeclaredRoute, action: Action, person: Person) -> Verdict:
    is_owner = person.name == "adele"
    if action.facts.resource is Resource.TEAM:
        return Verdict.ALLOWED if is_owner else Verdict.HIDDEN
    if action is Action.ORGANIZATION_READ:
        return Verdict.REFUSED if route.path in NEEDS_SIGN_IN and not person.is_known else Verdict.ALLOWED
    return Verdict.ALLOWED if is_owner else Verdict.REFUSED


def _on_repository(route: DeclaredRoute, action: Action, person: Person, *, is_private: bool) -> Verdict:
    rank = person.rank
    if is_private and (rank is Rank.NOBODY or (person.scopes is not None and "repo" not in person.scopes)):
        return Verdict.HIDDEN
    reads = action in {Action.REPOSITORY_SEE, Action.REPOSITORY_READ}
    if reads and not is_private and route.method in {"GET", "HEAD"}:
        return Verdict.ALLOWED if person.is_known or route.path not in WHO_ASKS else Verdict.REFUSED
    if route.path in FOR_READERS and not is_private and person.is_known:
        rank = max(rank, Rank.READER)
    if rank >= WANTED_RANK[action] and _has_scope(person, action) and person.is_known:
        return Verdict.ALLOWED
    return Verdict.REFUSED


def _has_scope(person: Person, action: Action) -> bool:
    if person.scopes is None:
        return True
    reached = set(person.scopes).union(*(IMPLIED_SCOPES.get(scope, frozenset()) for scope in person.scopes))
    return not action.facts.token_scopes or bool(reached & action.facts.token_scopes)


def ask(world: World, person: Person, route: DeclaredRoute, repository: str, *, is_filled: bool) -> httpx2.Response:
    """Send one request as a person would: a form with its token, or JSON."""
    url = world.url(route, repository)
    body = body_of(route.method, route.path) if is_filled else {}
    body = {
        name: value.replace("{repo}", repository) if isinstance(value, str) else value for name, value in body.items()
    }
    if route.declaration.kind == "api":
        return person.api.request(route.method, url, json=None if route.method in {"GET", "HEAD"} else body)
    if route.method in {"GET", "HEAD"}:
        return person.pages.request(route.method, url)
    fields = body | {"csrf_token": person.csrf_token()}
    return person.pages.request(route.method, url, data=fields, headers={"origin": world.cast.cairn.origin})


def outcome(answer: httpx2.Response) -> str:
    """Return what an answer amounts to, in one word."""
    status = answer.status_code
    if status in {302, 303} and urlsplit(answer.headers["location"]).path == "/login":
        return "refused"
    if status in {401, 403}:
        return "refused"
    if status == 404:
        return "hidden"
    return "allowed" if status < 400 else f"error {status}"


ACCEPTED = {
    Verdict.ALLOWED: {"allowed"},
    Verdict.REFUSED: {"refused"},
    Verdict.HIDDEN: {"hidden"},
    Verdict.BAD_CREDENTIALS: {"refused"},
}


def test_every_route_declares_what_it_is_for(world: World) -> None:
    assert len({route.path for route in world.routes}) > 30, "the table is not the real one"
    assert all(isinstance(route.declaration.token_scopes, frozenset) for route in world.routes)


def test_rest_asks_again_wherever_a_page_does(world: World) -> None:
    """Otherwise whoever finds an open browser does over REST, with its session, what the page wants a password for."""
    writing = [route for route in world.routes if route.method not in {"GET", "HEAD"}]
    asked = {one.declaration.action for one in writing if one.declaration.kind == "page" and one.declaration.sudo}
    assert {Action.ACCOUNT_EDIT_KEYS, Action.REPOSITORY_EDIT_KEYS, Action.SITE_ADMINISTER} <= asked
    loose = {
        f"{one.method} {one.path}"
        for one in writing
        if one.declaration.kind == "api" and one.declaration.action in asked and not one.declaration.sudo
    }
    assert loose == {
        "PATCH /api/v3/user/email/visibility",
        "POST /api/v3/orgs/{org}/deleted/{deleted_id}/restore",
        "POST /api/v3/user/deleted/{deleted_id}/restore",
    }, "their pages do not ask either"


def test_first_segments_of_all_routes_are_reserved_as_owner_names(world: World) -> None:
    fronts = ["/healthz", "/readyz", "/metrics", "/static/x"]
    segments = {path.split("/")[1] for path in [*(route.path for route in world.routes), *fronts]}
    takeable = {segment for segment in segments if "{" not in segment and is_login(segment)}
    assert takeable, "no first segment found: the test looks at the wrong place"
    assert not {segment for segment in takeable if segment.lower() not in RESERVED_LOGINS}


@pytest.mark.timeout(900)
@pytest.mark.parametrize("repository", ["secret", "open"])
def test_nobody_without_the_right_gets_anywhere(world: World, repository: str) -> None:
    """Every route by every person, writes both well filled in and empty; what is refused has changed nothing."""
    before = tables_of(world.cast.database, without=VOLATILE)
    wrong: list[str] = []
    counted = 0
    for route, person in ((route, person) for route in world.routes for person in world.cast.people.values()):
        verdict = expected(route, person, is_private=repository == "secret")
        is_reading = route.method in {"GET", "HEAD"}
        if verdict is Verdict.ALLOWED and not is_reading:
            continue  # the owner does each of them below
        if route.method == "HEAD" and person.name not in ASKING_FOR_HEAD:
            continue  # the same handler as GET's
        counted += 1
        found = outcome(ask(world, person, route, repository, is_filled=True))
        if verdict is Verdict.ALLOWED and names_nothing(route):
            continue
        if found not in ACCEPTED[verdict]:
            wrong.append(f"{route.method} {route.path} as {person.name}: {found}, wanted {verdict.value}")
        if not is_reading and outcome(ask(world, person, route, repository, is_filled=False)) == "allowed":
            wrong.append(f"{route.method} {route.path} as {person.name}: an empty body is allowed")
    assert not wrong, "\n".join(wrong)
    assert counted > 200
    assert tables_of(world.cast.database, without=VOLATILE) == before


def test_hidden_is_the_same_as_absent(world: World) -> None:
    """Status, body and headers; only what differs with each answer anyway is taken out."""
    wrong: list[str] = []
    compared = 0
    for route, person in ((route, person) for route in world.routes for person in world.cast.people.values()):
        if route.method == "HEAD" or route.declaration.resource != "repository":
            continue
        if expected(route, person, is_private=True) is not Verdict.HIDDEN:
            continue
        compared += 1
        hidden, absent = (ask(world, person, route, name, is_filled=True) for name in ("secret", "absent"))
        if _comparable(hidden, world.url(route, "secret")) != _comparable(absent, world.url(route, "absent")):
            wrong.append(f"{route.method} {route.path} as {person.name}: {hidden.status_code}, {absent.status_code}")
    assert not wrong, "\n".join(wrong)
    assert compared > 100


def _comparable(answer: httpx2.Response, path: str) -> tuple[int, str, list[tuple[str, str]]]:
    changing = {"x-request-id", "x-github-request-id", "date", "etag", "content-security-policy", "set-cookie"}
    headers = sorted(
        (name.lower(), value)
        for name, value in answer.headers.items()
        if name.lower() not in changing and not name.lower().startswith("x-ratelimit")
    )
    text = answer.text
    for own in (answer.headers.get("x-request-id", ""), path.partition("?")[0], "ada/secret", "ada/absent"):
        text = text.replace(own, "…") if own else text
    text = re.sub(r'(name="csrf_token" value|nonce)="[^"]+"', "…", text)
    headers = [(name, "…" if name == "content-length" else value) for name, value in headers]
    return answer.status_code, text, headers


def test_the_owner_may_do_everything_that_is_declared_for_owners(world: World) -> None:
    """The other half of the table: a rule that refuses everybody would pass the tests above."""
    ada = world.cast.people["ada"]
    wrong: list[str] = []
    for number, route in enumerate(world.routes):
        if route.declaration.resource != "repository" or route.method in {"GET", "HEAD"}:
            continue
        name = f"spare{number}"
        assert ada.api.post("/api/v3/user/repos", json={"name": name, "private": True}).status_code == 201
        assert ada.api.put(f"/api/v3/repos/ada/{name}/collaborators/wim", json={}).is_success
        who = world.cast.people["wim"] if route.path in FORKING else ada
        found = outcome(ask(world, who, route, name, is_filled=True))
        expected = REFUSED_FOR_WHAT_IT_IS.get(route.path, "allowed")
        if found != REFUSED_FOR_WHAT_IT_IS.get(f"{route.method} {route.path}", expected):
            wrong.append(f"{route.method} {route.path}: {found}")
    assert not wrong, "\n".join(wrong)


CHILD_FIELDS = {
    "/settings/sessions/revoke": ("session_id", "SELECT cookie_sha256 FROM account_session WHERE account_id = ?"),
    "/settings/tokens/revoke": ("id", "SELECT id FROM account_token WHERE account_id = ?"),
    "/settings/tokens/regenerate": ("id", "SELECT id FROM account_token WHERE account_id = ?"),
    "/settings/keys/delete": ("id", "SELECT id FROM account_ssh_key WHERE account_id = ?"),
    "/settings/keys/signing/delete": ("id", "SELECT id FROM account_signing_key WHERE account_id = ?"),
    "/settings/keys/gpg/delete": ("id", "SELECT id FROM account_gpg_key WHERE account_id = ?"),
    "/settings/deleted/erase": ("repository", "SELECT repository_id FROM repository_deletion WHERE owner_id = ?"),
    "/settings/deleted/restore": ("repository", "SELECT repository_id FROM repository_deletion WHERE owner_id = ?"),
    "/settings/emails/remove": ("email", "SELECT email FROM account_email WHERE account_id = ?"),
}
"""Forms that name a child row: the field, and where another account's rows of that kind are."""
NOT_A_CHILD = {
    *("account_id", "organization_id", "avatar_id", "announcement_id", "team_id", "invitation_id", "pat_id"),
    *("release_id", "asset_id", "ruleset_id", "suite_id", "mirror_id"),
}
"""Path parameters that name what everybody may see, or a thing whose own rule is asked (a team, by number) or that of
the organization or the repository in the address."""
NAMES_NO_CHILD = {"/settings/account/delete", "/settings/profile/picture/remove", "/settings/keys/outgoing/delete"}
"""Forms about the caller's own account that name no row of it."""
CHILD_PARAMETERS = {
    "key_id": "SELECT id FROM account_ssh_key WHERE account_id = ?",
    "ssh_signing_key_id": "SELECT id FROM account_signing_key WHERE account_id = ?",
    "gpg_key_id": "SELECT id FROM account_gpg_key WHERE account_id = ?",
    "token_id": "SELECT id FROM account_token WHERE account_id = ?",
    "deleted_id": "SELECT repository_id FROM repository_deletion WHERE owner_id = ?",
}
"""Path parameters that name a child row of the caller's account."""


def test_ids_of_somebody_elses_things_are_absent(world: World) -> None:
    """A3: the child is only found through its parent; a known id is worth nothing to another account."""
    cast, stan = world.cast, world.cast.people["stan"]
    assert cast.people["ada"].api.post("/api/v3/user/keys", json={"title": "k", "key": world.key_line}).is_success
    signing = {"title": "k", "key": world.key_line}
    assert cast.people["ada"].api.post("/api/v3/user/ssh_signing_keys", json=signing).is_success
    assert cast.people["ada"].api.post("/api/v3/user/gpg_keys", json={"armored_public_key": gpg_key()}).is_success
    gone = cast.people["ada"].api
    assert gone.post("/api/v3/user/repos", json={"name": "gone"}).is_success
    assert gone.delete("/api/v3/repos/ada/gone").is_success
    owner = cast.rows("SELECT id FROM account WHERE login = 'ada'")[0][0]
    before = tables_of(cast.database, without=VOLATILE)
    tried = 0
    for route in world.routes:
        for parameter in route.parameters:
            is_known = parameter in {"repository_id", *NOT_A_CHILD, *CHILD_PARAMETERS}
            is_for_administrators = route.declaration.action is Action.SITE_ADMINISTER
            assert not parameter.endswith("_id") or is_known or is_for_administrators, route.path
            if parameter in CHILD_PARAMETERS:
                foreign = cast.rows(CHILD_PARAMETERS[parameter], owner)[0][0]
                for client in (stan.api, stan.pages):
                    url = route.path.replace(f"{{{parameter}}}", str(foreign))
                    answer = client.request(route.method, url)
                    # A token is kept out of some pages, and a session out of others, before any row is asked for.
                    is_api = client is stan.api and route.declaration.kind == "api"
                    assert answer.status_code in ({404} if is_api else {403, 404}), (route, answer)
                    tried += 1
        if route.path in CHILD_FIELDS and route.method == "POST":
            name, sql = CHILD_FIELDS[route.path]
            fields = {name: str(cast.rows(sql, owner)[0][0]), "csrf_token": stan.csrf_token()}
            answer = stan.pages.post(route.path, data=fields, headers={"origin": cast.cairn.origin})
            # What cannot be restored or erased is said on the page that lists what can.
            refusals = {303, 422} if route.path.startswith("/settings/deleted/") else {404}
            assert answer.status_code in refusals, (route.path, answer)
            tried += 1
    forms = {
        route.path
        for route in world.routes
        if re.search(r"/(revoke|regenerate|delete|remove|restore|erase)$", route.path)
    }
    own = {path for path in forms if path.startswith("/settings/")} - NAMES_NO_CHILD
    assert own == CHILD_FIELDS.keys(), "say here what a new form names"
    assert tried >= len(CHILD_FIELDS) + 2 * len(CHILD_PARAMETERS)
    assert tables_of(cast.database, without=VOLATILE) == before


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note where links lead."""
        target = dict(attrs).get("href") if tag in {"a", "link"} else dict(attrs).get("src")
        if target:
            self.found.append(target)


def _own_links(answer: httpx2.Response, origin: str) -> Iterable[str]:
    if not answer.headers.get("content-type", "").startswith("text/html"):
        return
    parser = _Links()
    parser.feed(answer.text)
    for link in parser.found:
        target = urlsplit(urljoin(str(answer.url), link))
        if f"{target.scheme}://{target.netloc}" == origin:
            yield target.path + (f"?{target.query}" if target.query else "")


PAGES_MAX = 400


def test_opening_everything_as_the_owner_writes_nothing(world: World) -> None:
    """A5: every GET route and every link on every page; hashes of all tables are the same afterwards."""
    cast, ada = world.cast, world.cast.people["ada"]
    before = tables_of(cast.database, without=VOLATILE)
    waiting = ["/", "/ada/open", "/ada/secret", "/healthz", "/readyz", "/metrics"]
    waiting += [world.url(route, "secret") for route in world.routes if route.method == "GET"]
    seen: set[str] = set()
    failed: list[str] = []
    while waiting and len(seen) < PAGES_MAX:
        path = waiting.pop(0)
        if path in seen:
            continue
        seen.add(path)
        client = ada.api if path.startswith("/api/") else ada.pages
        answer = client.get(path)
        if answer.status_code >= 500:
            failed.append(f"{path}: {answer.status_code}")
        waiting += _own_links(answer, cast.cairn.origin)
        if answer.is_redirect:
            target = urlsplit(urljoin(str(answer.url), answer.headers["location"]))
            waiting.append(target.path)
    assert not failed
    assert len(seen) > 60
    assert ada.pages.get("/settings/profile").status_code == 200, "still signed in: no link signs out"
    assert tables_of(cast.database, without=VOLATILE) == before
