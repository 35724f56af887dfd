"""What a reader types to choose commits; what git makes of it is tested with test_history_pages."""

from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import update
from tests.factories.forge import Forge
from tests.web.support import open_app

from cairn.base.clock import utc_now
from cairn.identity.models import AccountEmail
from cairn.repositories.code.history_filter import HistoryFilter, author_texts, choose, read_filter
from cairn.web.context import RequestContext
from cairn.web.routing import PUBLIC, api


@api.get("/api/v3/filter", action=PUBLIC, resource="none")
async def show_filter(context: RequestContext) -> dict[str, object]:
    wanted = read_filter(context)
    chosen = await choose(context, wanted)
    return {
        "authors": list(chosen.authors),
        "message": chosen.message,
        "since": str(chosen.since),
        "until": str(chosen.until),
        "first_parent": chosen.first_parent,
        "problems": sorted(wanted.problems),
        "is_empty": wanted.is_empty,
    }


async def test_a_login_means_its_verified_addresses_and_other_text_itself(forge: Forge) -> None:
    await forge.person("ada")
    context = type("Asking", (), {"site": forge.running.app.site, "settings": forge.running.settings})()
    before = await author_texts(context, "ADA")
    assert len(before) == 1, "an address that nobody proved is not hers"
    assert "noreply" in before[0]
    async with forge.database.write() as session:
        await session.execute(update(AccountEmail).values(verified_at=utc_now()))
    assert set(await author_texts(context, "@ada")) == {*before, "<ada@example.test>"}
    assert await author_texts(context, "Somebody Else") == ("Somebody Else",)
    assert await author_texts(context, "") == ()


async def test_days_are_whole_days_and_what_is_no_time_is_said(tmp_path: Path) -> None:
    async with open_app(tmp_path, [show_filter]) as running:

        async def ask(query: str) -> dict[str, object]:
            found: dict[str, object] = (await running.client().get(f"/api/v3/filter?{query}")).json()
            return found

        found = await ask("since=2024-01-02&until=2024-01-02&message=%00x&first_parent=1")
        assert found["since"] == str(datetime(2024, 1, 2, tzinfo=UTC))
        assert found["until"] == str(datetime(2024, 1, 3, tzinfo=UTC)), "the day itself belongs to it"
        assert (found["message"], found["first_parent"], found["problems"]) == ("x", True, [])
        assert (await ask("since=never&until=0000-00-00"))["problems"] == ["since", "until"]
        assert (await ask("first_parent=0"))["is_empty"] is True


def test_nothing_typed_is_the_whole_history() -> None:
    assert HistoryFilter().is_empty
    assert not HistoryFilter(author="x").is_empty
