"""Notes written from history: since which release, by whom, and with nothing in them that strangers can abuse."""

from tests.factories.accounts import verify_address
from tests.factories.forge import Forge
from tests.factories.git_repositories import StockRepository
from tests.repositories.releases.support import RELEASES, create
from tests.web.support import ORIGIN

from cairn.repositories.queries import RepositoryView

Place = tuple[RepositoryView, StockRepository]


async def test_notes_are_written_from_what_was_committed_since(forge: Forge, place: Place) -> None:
    repository, _ = place
    await create(forge, tag_name="v1.0")
    for message in ("feat(mill): Grind finer", "fix: Stop", "Tidy @everyone <b>"):
        await forge.commit(forge.people["ada"], repository, {message[:4] + ".txt": message.encode()}, message)
    made = await create(forge, tag_name="v1.1", generate_release_notes=True)
    assert made["name"] == "v1.1"
    assert "### Features\n\n* Grind finer by " in made["body"]
    assert "### Fixes\n\n* Stop by " in made["body"]
    assert r"Tidy \@everyone \<b\>" in made["body"]
    assert f"**Full Changelog**: {ORIGIN}/ada/engine/compare/v1.0...v1.1" in made["body"]
    assert "## New Contributors" in made["body"]
    ada = forge.api(forge.people["ada"])
    asked = {"tag_name": "v2.0", "previous_tag_name": "v1.1"}
    notes = await ada.call("POST", f"{RELEASES}/generate-notes", json=asked)
    assert notes.status_code == 200
    assert "compare/v1.1...v2.0" in notes.json()["body"]
    refused = await ada.call("POST", f"{RELEASES}/generate-notes", json={**asked, "previous_tag_name": "none"})
    assert refused.status_code == 422


async def notes(forge: Forge, **asked: str) -> str:
    answer = await forge.api(forge.people["ada"]).call("POST", f"{RELEASES}/generate-notes", json=asked)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["body"])


async def test_the_release_before_is_one_that_the_history_contains(forge: Forge, place: Place) -> None:
    repository, _ = place
    ada = forge.people["ada"]
    await create(forge, tag_name="v1.0")
    await forge.commit(ada, repository, {"side.txt": b"side"}, "Aside", branch=b"refs/heads/side")
    await create(forge, tag_name="v1.5", target_commitish="side")
    await forge.commit(ada, repository, {"main.txt": b"main"}, "Ahead")
    body = await notes(forge, tag_name="v2.0")
    assert "compare/v1.0...v2.0" in body
    assert "* Ahead by " in body
    assert "Aside" not in body


async def test_without_a_release_before_all_of_history_is_listed(forge: Forge, place: Place) -> None:
    body = await notes(forge, tag_name="v2.0", target_commitish="stable")
    assert f"**Full Changelog**: {ORIGIN}/ada/engine/commits/v2.0" in body
    assert body.count("\n* ") == 1
    assert "New Contributors" not in body


async def test_an_account_is_named_by_its_login_and_a_break_comes_first(forge: Forge, place: Place) -> None:
    repository, _ = place
    ada = forge.people["ada"]
    async with forge.database.write() as session:
        await verify_address(session, ada.account)
    await create(forge, tag_name="v1.0")
    for message in ("docs: Tell", "feat!: Turn round", "perf: Run"):
        await forge.commit(ada, repository, {f"{message[:3]}.txt": message.encode()}, message)
    body = await notes(forge, tag_name="v2.0")
    titles = [line for line in body.splitlines() if line.startswith("### ")]
    assert titles == ["### Breaking changes", "### Performance", "### Documentation", "### Other changes"]
    assert "* Turn round by @ada in " in body


async def test_what_cannot_be_compared_is_refused_with_its_field(forge: Forge, place: Place) -> None:
    ada = forge.api(forge.people["ada"])
    for asked, field in (
        ({"tag_name": "v9", "target_commitish": "none"}, "target_commitish"),
        ({"tag_name": "v9", "previous_tag_name": "none"}, "previous_tag_name"),
    ):
        refused = await ada.call("POST", f"{RELEASES}/generate-notes", json=asked)
        assert refused.status_code == 422
        assert refused.json()["errors"][0]["field"] == field
