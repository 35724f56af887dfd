"""``.diff`` and ``.patch`` of commits and comparisons: stock git makes the same trees of them."""

from pathlib import Path

import pytest
from litestar.exceptions import LitestarException
from tests.factories.forge import Forge
from tests.factories.git_repositories import StockRepository, clone, init

from cairn.git import patches
from cairn.repositories.code import patch_answer
from cairn.repositories.code.patch_answer import split_form

API_R = "/repos/ada/engine"


@pytest.fixture
async def stock(forge: Forge, tmp_path: Path) -> StockRepository:
    """ada/engine: ``main`` with a beginning, ``side`` with three commits more, one of them large."""
    ada = await forge.person("ada")
    repository = await forge.repository(ada, "engine")
    made = init(tmp_path / "stock")
    made.commit({"a": "1\n2\n", "b": b"\0old"}, "Begin")
    made.git("checkout", "-q", "-b", "side")
    made.commit({"a": "1\ntwo\n"}, "Größe\n\nSays why.")
    made.commit({"b": b"\0new" * 50, "néw": "x\n"}, "Binary")
    made.commit({"large": "".join(f"line {number}\n" for number in range(60_000))}, "Large")
    made.git("branch", "side.patch", "main")
    made.git("branch", "odd.diff", "side~2")
    await forge.push_refs(
        repository, made, *(f"refs/heads/{name}" for name in ("main", "side", "side.patch", "odd.diff"))
    )
    return made


async def get(forge: Forge, path: str, status: int = 200) -> bytes:
    answer = await forge.browser().get(f"/ada/engine{path}")
    assert answer.status_code == status, answer.text
    if status == 200:
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"
        assert answer.headers["x-content-type-options"] == "nosniff"
    return answer.content


def begin(stock: StockRepository, path: Path) -> StockRepository:
    made = clone(stock, path)
    made.git("checkout", "-q", "--detach", stock.oid("main"))
    return made


async def test_a_comparison_as_a_patch_is_a_series_for_git_am(
    forge: Forge, stock: StockRepository, tmp_path: Path
) -> None:
    text = await get(forge, f"/compare/main...{stock.oid('side')}.patch")
    other = begin(stock, tmp_path / "other")
    other.git("am", "-q", stdin=text)
    assert other.oid("HEAD^{tree}") == stock.oid("side^{tree}")
    assert other.git("log", "--format=%B", f"{stock.oid('main')}..HEAD") == stock.git(
        "log", "--format=%B", "main..side"
    )
    assert len(text) > patch_answer.WHOLE_BYTES_MAX  # it was streamed


async def test_a_comparison_as_a_diff_is_one_for_git_apply(
    forge: Forge, stock: StockRepository, tmp_path: Path
) -> None:
    text = await get(forge, f"/compare/main..{stock.oid('side')}.diff")
    other = begin(stock, tmp_path / "other")
    other.git("apply", "--index", stdin=text)
    assert other.git("write-tree").decode().strip() == stock.oid("side^{tree}")


@pytest.mark.parametrize("form", ["diff", "patch"])
async def test_one_commit_as_text(forge: Forge, stock: StockRepository, tmp_path: Path, form: str) -> None:
    text = await get(forge, f"/commit/{stock.oid('side~1')}.{form}")
    other = begin(stock, tmp_path / "other")
    other.git("checkout", "-q", stock.oid("side~2"))
    other.git(*(["am", "-q"] if form == "patch" else ["apply", "--index"]), stdin=text)
    tree = other.git("write-tree").decode().strip()
    assert tree == stock.oid("side~1^{tree}")
    assert (await forge.api().get(f"{API_R}/commits/side~9")).status_code == 404
    wanted = {"accept": f"application/vnd.github.{form}"}
    answer = await forge.api(**wanted).get(f"{API_R}/commits/{stock.oid('side~1')}")
    assert answer.content == text
    assert answer.headers["content-type"] == f"application/vnd.github.{form}; charset=utf-8"


@pytest.mark.parametrize("form", ["diff", "patch"])
async def test_the_api_sends_what_the_page_sends(forge: Forge, stock: StockRepository, form: str) -> None:
    compared = f"/compare/main...{stock.oid('side')}"
    answer = await forge.api(accept=f"application/vnd.github.{form}").get(f"{API_R}{compared}")
    assert answer.content == await get(forge, f"{compared}.{form}")


async def test_a_branch_whose_name_ends_so_is_meant_first(forge: Forge, stock: StockRepository) -> None:
    answer = await forge.browser().get("/ada/engine/compare/main...odd.diff")
    assert answer.headers["content-type"].startswith("text/html")
    text = await get(forge, "/compare/main...odd.diff.diff")
    assert text.startswith(b"diff --git a/a b/a\n")


async def test_head_sends_nothing_and_starts_nothing(forge: Forge, stock: StockRepository) -> None:
    path = f"/ada/engine/commit/{stock.oid('side')}.patch"
    answer = await forge.browser().client.request("HEAD", path)
    assert (answer.status_code, answer.content) == (200, b"")
    assert forge.engine.runner.running == 0


async def test_what_cannot_be_made_is_refused_and_what_is_unknown_not_found(
    forge: Forge, stock: StockRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    await get(forge, "/commit/0000000000.diff", 404)
    assert b"no branch" in await get(forge, "/compare/main...nowhere.diff", 404)
    monkeypatch.setattr(patches, "MAILS_MAX", 2)
    assert b"At most 2 commits" in await get(forge, f"/compare/main...{stock.oid('side')}.patch", 413)


async def test_what_is_too_large_breaks_off_instead_of_looking_whole(
    forge: Forge, stock: StockRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patch_answer, "WHOLE_BYTES_MAX", 1000)
    monkeypatch.setattr(patches, "PATCH_BYTES_MAX", 300_000)
    with pytest.raises(LitestarException, match="after response started"):
        await forge.browser().get(f"/ada/engine/commit/{stock.oid('side')}.diff")


async def test_the_pages_lead_to_their_texts(forge: Forge, stock: StockRepository) -> None:
    for page, text in (
        (f"/ada/engine/commit/{stock.oid('side')}", f"/ada/engine/commit/{stock.oid('side')}"),
        ("/ada/engine/compare/main...side.patch", "/ada/engine/compare/main...side.patch"),
    ):
        shown = (await forge.browser().get(page)).text
        for form in ("diff", "patch"):
            assert f'href="{text}.{form}"' in shown


def test_an_address_is_split_at_its_last_ending() -> None:
    assert split_form("abc.diff") == ("abc", "diff")
    assert split_form(b"a...b.patch") == (b"a...b", "patch")
    assert split_form("abc.diff.patch") == ("abc.diff", "patch")
    assert split_form("abc") == ("abc", None)
