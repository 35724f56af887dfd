"""Notes as HTML: Markdown of strangers, whose links mean the tagged files."""

from tests.factories.forge import Forge
from tests.factories.git_repositories import StockRepository
from tests.repositories.releases.support import RELEASES, create, publish
from tests.web.support import ORIGIN

from cairn.repositories.queries import RepositoryView

Place = tuple[RepositoryView, StockRepository]


async def test_notes_come_in_the_forms_of_github(forge: Forge, place: Place) -> None:
    made = await create(forge, tag_name="v1.0", body="It *runs*. <script>x</script>")
    api = forge.api()
    full = (await api.get(f"{RELEASES}/{made['id']}", headers={"accept": "application/vnd.github.full+json"})).json()
    assert "<em>runs</em>" in full["body_html"]
    assert "script" not in full["body_html"]
    assert full["body_text"].startswith("It runs.")
    html = (await api.get(f"{RELEASES}/{made['id']}", headers={"accept": "application/vnd.github.html+json"})).json()
    assert "body" not in html
    assert "body_text" not in html


async def test_links_lead_to_the_tagged_files_with_whole_addresses_for_programs(forge: Forge, place: Place) -> None:
    made = await create(forge, tag_name="v1.0", body="[how](docs/how.txt) ![it](pic.png)")
    headers = {"accept": "application/vnd.github.html+json"}
    html = (await forge.api().get(f"{RELEASES}/{made['id']}", headers=headers)).json()["body_html"]
    assert f'href="{ORIGIN}/ada/engine/blob/v1.0/docs/how.txt"' in html
    assert f'src="{ORIGIN}/ada/engine/raw/v1.0/pic.png"' in html
    page = (await forge.browser().get("/ada/engine/releases/tag/v1.0")).text
    assert 'href="/ada/engine/blob/v1.0/docs/how.txt"' in page


async def test_a_page_with_notes_may_show_pictures_from_elsewhere_and_runs_nothing_of_them(
    forge: Forge, repository: RepositoryView
) -> None:
    await publish(
        forge, notes="![x](https://pictures.example/x.png) <img src=x onerror=alert(1)> <script>alert(1)</script>"
    )
    page = await forge.browser().get("/ada/engine/releases/tag/v1.0")
    assert "img-src 'self' data: https:" in page.headers["content-security-policy"]
    assert "https://pictures.example/x.png" in page.text
    assert "onerror" not in page.text
    assert "alert(1)</script>" not in page.text
