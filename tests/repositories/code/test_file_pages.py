"""A file is shown as what it is, coloured once, and given raw without anything of it running."""

import html
import re
import struct
import threading
import zlib
from typing import Any

import pytest
from markupsafe import Markup
from tests.factories.forge import Forge
from tests.factories.git_repositories import StockRepository, init
from tests.factories.pictures import picture

from cairn.repositories.code import shown_text
from cairn.web.highlight import highlight_text

SHA = "4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393"
POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{SHA}\nsize 12345678\n"


async def get(forge: Forge, path: str, **headers: str) -> Any:
    return await forge.browser().get(f"/ada/engine{path}", headers=headers)


async def shown(forge: Forge, path: str) -> str:
    answer = await get(forge, f"/blob/main/{path}")
    assert answer.status_code == 200
    return html.unescape(answer.text)


async def files(forge: Forge, **contents: bytes) -> None:
    ada = await forge.person("ada")
    named = {name.replace("__", "."): data for name, data in contents.items()}
    await forge.repository(ada, "engine", files=named, may_lack_objects=True)


def facts(text: str) -> list[str]:
    """Return what the bar above a file says of it."""
    bar = re.search(r'<span class="file-facts">(.*?)</span></span>|<span class="file-facts">(.*?)\n', text)
    assert bar
    return re.findall(r"<span>(.*?)</span>", bar[0])


async def test_a_file_is_shown_with_numbered_lines_and_its_own_text_only(forge: Forge, stock: StockRepository) -> None:
    text = (await get(forge, "/blob/main/src/mill.py")).text
    assert 'id="L2"' in text
    assert "&lt;b&gt;2" in text
    assert "<b>2" not in text
    assert f"/ada/engine/blob/{stock.oid('main')}/src/mill.py" in text
    assert facts(text) == ["2 lines", "34 B", "Python"]
    evil = (await get(forge, "/blob/main/src/evil.html")).text
    assert "<script>alert(1)" not in evil


async def test_a_blob_is_coloured_once_and_not_on_the_event_loop(
    forge: Forge, stock: StockRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[threading.Thread] = []

    def noting(text: str, name: str) -> list[Markup]:
        threads.append(threading.current_thread())
        return highlight_text(text, name)

    monkeypatch.setattr(shown_text, "highlight_text", noting)
    first = await get(forge, "/blob/main/src/mill.py")
    # Another address, another reader and blame: the same blob.
    for path in ("/blob/main/src/mill.py?x=1", f"/blob/{stock.oid('main')}/src/mill.py", "/blame/main/src/mill.py"):
        assert 'class="hl-k">def' in (await get(forge, path)).text
    assert 'class="hl-k">def' in first.text
    assert len(threads) == 1
    assert threading.main_thread() not in threads
    assert 'class="hl-k">def' in (await get(forge, f"/blob/{stock.oid('main~2')}/src/mill.py")).text
    assert len(threads) == 2, "another blob"


async def test_a_markdown_file_is_shown_rendered_or_as_its_source(forge: Forge, stock: StockRepository) -> None:
    assert 'class="prose-file"' in (await get(forge, "/blob/main/README.md")).text
    source = (await get(forge, "/blob/main/README.md?plain=1")).text
    assert 'class="prose-file"' not in source
    assert 'id="L1"' in source


async def test_a_long_text_is_shown_in_parts_without_a_gap(forge: Forge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shown_text, "LINES_PER_PART", 100)
    await files(forge, long=b"".join(b"line %d\n" % number for number in range(1, 251)))
    path, seen = "/ada/engine/blob/main/long", []
    while path:
        text = html.unescape((await forge.browser().get(path)).text)
        seen += [int(number) for number in re.findall(r'<tr id="L(\d+)"', text)]
        assert f"to {seen[-1]} of 250" in text
        later = re.search(r'rel="next" href="([^"]+)"', text)
        path = later[1] if later else ""
    assert seen == [*range(1, 251)]


@pytest.mark.parametrize(
    ("line", "leads_to"),
    [
        ("12", "#L12"),
        ("L20-L12", "#L12-L20"),
        ("150 - 160", "?first=101#L150-L160"),
        ("x", ""),
        ("0", "#L1"),
        ("7-7", "#L7"),
    ],
)
async def test_the_form_leads_to_lines(forge: Forge, monkeypatch: pytest.MonkeyPatch, line: str, leads_to: str) -> None:
    monkeypatch.setattr("cairn.repositories.code.file_pages.LINES_PER_PART", 100)
    await files(forge, long=b"x\n" * 200)
    for verb in ("blob", "blame"):
        answer = await forge.browser().get(f"/ada/engine/{verb}/main/long", params={"line": line})
        assert (answer.status_code, answer.headers["location"]) == (303, f"/ada/engine/{verb}/main/long{leads_to}")


async def test_very_long_lines_are_cut_with_a_word(forge: Forge) -> None:
    await files(forge, min__js=b"var a=1;" * 60_000 + b"\nshort\n")
    text = await shown(forge, "min.js")
    assert "1 very long line is shown only in part" in text
    assert "460,000 more characters" in text
    assert len(text) < 200_000


async def test_a_megabyte_of_text_is_a_page_of_a_sensible_size(forge: Forge) -> None:
    await files(forge, big__txt=b"a line of some forty characters in a file\n" * 30_000)
    text = await shown(forge, "big.txt")
    assert "Lines 1 to 5,000 of 30,000" in text
    assert len(text) < 1 << 20


@pytest.mark.parametrize(
    ("content", "expected", "words"),
    [
        ("café\r\n".encode(), "café", ["1 line", "7 B", "CRLF line ends"]),
        (b"\xef\xbb\xbfx\n", "x", ["1 line", "5 B", "byte order mark"]),
        ("hé".encode("utf-16"), "hé", ["1 line", "6 B", "UTF-16LE"]),
        (b"caf\xe9 \x80", "café €", ["1 line", "6 B", "not UTF-8, assumed to be Windows-1252"]),
        (b"a\r\nb\n", "b", ["2 lines", "5 B", "mixed line ends"]),
        (b"\ttab", "\ttab", ["1 line", "4 B"]),
    ],
    ids=["crlf", "mark", "utf-16", "assumed", "mixed", "tab"],
)
async def test_what_was_assumed_of_a_text_is_said(
    forge: Forge, content: bytes, expected: str, words: list[str]
) -> None:
    await files(forge, text=content)
    text = await shown(forge, "text")
    assert f'class="code-text">{expected}</td>' in text
    assert facts(text) == words


async def test_a_reader_may_say_the_encoding(forge: Forge) -> None:
    await files(forge, text="привет".encode("koi8-r"))
    assert "привет" not in await shown(forge, "text")
    text = await shown(forge, "text?encoding=KOI8-R")
    assert 'class="code-text">привет</td>' in text
    assert facts(text) == ["1 line", "6 B", "KOI8-R"]


@pytest.fixture
async def odd(forge: Forge, stock: StockRepository) -> StockRepository:
    """ada/odd: links in and out, a submodule of this forge, one of another, one without an address, a run bit."""
    repository = await forge.repository(forge.people["ada"], "odd")
    made = init(stock.path.parent / "odd")
    commit = made.commit({"run": "x", "sub/file": "y"})
    links = {"in": b"sub/file", "sub/up": b"../run", "out": b"../../x", "root": b"/etc/passwd", "folder": b"sub"}
    for name, target in links.items():
        oid = made.git("hash-object", "-w", "--stdin", stdin=target).decode().strip()
        made.git("update-index", "--add", "--cacheinfo", f"120000,{oid},{name}")
    made.git("update-index", "--chmod=+x", "run")
    for name in ("here", "there", "nowhere"):
        made.git("update-index", "--add", "--cacheinfo", f"160000,{commit},{name}")
    made.write(
        ".gitmodules",
        '[submodule "here"]\n\tpath = here\n\turl = ../engine.git\n'
        '[submodule "there"]\n\tpath = there\n\turl = https://me:secret@example.org/x/y.git\n',
    )
    made.git("add", ".gitmodules")
    made.git("commit", "-q", "-m", "odd")
    await forge.push_refs(repository, made, "refs/heads/main")
    return made


@pytest.mark.parametrize(
    ("name", "href"),
    [
        ("in", "/ada/odd/blob/main/sub/file"),
        ("sub/up", "/ada/odd/blob/main/run"),
        ("folder", "/ada/odd/blob/main/sub"),
        ("out", ""),
        ("root", ""),
    ],
)
async def test_a_link_says_where_it_points_and_leads_there_inside_only(
    forge: Forge, odd: StockRepository, name: str, href: str
) -> None:
    text = (await forge.browser().get(f"/ada/odd/blob/main/{name}")).text
    target = re.search(r'points to (?:<a class="mono" href="([^"]*)">|<code>)', text)
    assert target
    assert (target[1] or "") == href
    assert ("outside of this repository" in text) == (not href)


async def test_a_submodule_says_what_it_is_at_and_where_it_is_from(forge: Forge, odd: StockRepository) -> None:
    oid = odd.oid("HEAD~1")
    here = (await forge.browser().get("/ada/odd/blob/main/here")).text
    assert f'href="/ada/engine/tree/{oid}"' in here
    there = (await forge.browser().get("/ada/odd/blob/main/there")).text
    assert 'href="https://example.org/x/y"' in there
    nowhere = (await forge.browser().get("/ada/odd/blob/main/nowhere")).text
    assert "does not say where it is from" in nowhere
    for verb in ("blame", "tree"):
        answer = await forge.browser().get(f"/ada/odd/{verb}/main/here")
        assert answer.headers["location"] == "/ada/odd/blob/main/here"


async def test_the_run_bit_and_emptiness_are_said(forge: Forge, odd: StockRepository, stock: StockRepository) -> None:
    assert "executable" in facts((await forge.browser().get("/ada/odd/blob/main/run")).text)
    await forge.repository(forge.people["ada"], "void", files={"nothing.py": b""})
    text = (await forge.browser().get("/ada/void/blob/main/nothing.py")).text
    assert "This file is empty" in text
    assert facts(text)[:2] == ["0 lines", "0 B"]


async def test_a_pointer_of_git_lfs_is_shown_as_such(forge: Forge) -> None:
    await files(forge, film__mp4=POINTER.encode(), fake=POINTER.encode() + b"more")
    text = await shown(forge, "film.mp4")
    assert "stored with Git LFS" in text
    assert "11.8 MiB" in text
    assert SHA in text
    assert "<video" not in text
    assert "stored with Git LFS" not in await shown(forge, "fake")


async def test_pictures_sound_film_and_documents_are_shown_or_offered(forge: Forge) -> None:
    await files(
        forge,
        a__png=picture(3, 2),
        broken__png=b"\x89PNG\0",
        a__svg=b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
        a__mp3=b"\0",
        a__webm=b"\0",
        a__pdf=b"%PDF-1.4\0",
        a__bin=b"\0",
    )
    text = await shown(forge, "a.png")
    assert '<img src="/ada/engine/raw/main/a.png" alt="a.png" width="3" height="2">' in text
    assert "3 \u00d7 2" in facts(text)
    assert '<img src="/ada/engine/raw/main/broken.png" alt="broken.png">' in await shown(forge, "broken.png")
    assert '<img src="/ada/engine/raw/main/a.svg"' in await shown(forge, "a.svg")
    assert 'id="L1"' in await shown(forge, "a.svg?plain=1")
    assert "<audio controls" in await shown(forge, "a.mp3")
    assert "<video controls" in await shown(forge, "a.webm")
    assert 'raw/main/a.pdf?download=1"' in await shown(forge, "a.pdf")
    assert "A binary file" in await shown(forge, "a.bin")


async def test_a_picture_that_claims_to_be_huge_is_not_unpacked(forge: Forge) -> None:
    """Attack: a few hundred bytes whose header promises gigabytes of pixels."""
    header = struct.pack(">IIBBBBB", 2**31 - 1, 2**31 - 1, 8, 6, 0, 0, 0)
    chunk = b"IHDR" + header
    bomb = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    await files(forge, a__png=bomb)
    assert "<img" in await shown(forge, "a.png")


async def test_a_file_beyond_the_bound_is_offered_raw(forge: Forge, monkeypatch: pytest.MonkeyPatch) -> None:
    await files(forge, large=b"x" * ((4 << 20) + 1))
    text = await shown(forge, "large")
    assert "Too large to show" in text
    assert 'href="/ada/engine/raw/main/large"' in text
    assert len(text) < 40_000


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("src/evil.html", "text/plain; charset=utf-8"),
        ("logo.png", "image/png"),
        ("x.bin", "application/octet-stream"),
        ("README.md", "text/plain; charset=utf-8"),
    ],
)
async def test_a_raw_file_is_nothing_a_browser_runs(forge: Forge, stock: StockRepository, path: str, kind: str) -> None:
    """The attack: push a page with a script and send people its raw address, on the forge's own origin."""
    answer = await get(forge, f"/raw/main/{path}")
    assert answer.headers["content-type"] == kind
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; ")
    assert policy.endswith("; sandbox")
    assert "script" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_a_raw_text_says_its_encoding_and_a_download_its_name(forge: Forge) -> None:
    await files(forge, text=b"caf\xe9")
    assert (await get(forge, "/raw/main/text")).headers["content-type"] == "text/plain; charset=windows-1252"
    ada = forge.people["ada"]
    await forge.repository(ada, "names", files={'ä "b".txt': b"x"})
    answer = await forge.browser().get("/ada/names/raw/main/%C3%A4%20%22b%22.txt?download=1")
    assert answer.headers["content-disposition"] == "attachment; filename*=UTF-8''%C3%A4%20%22b%22.txt"
    assert "content-disposition" not in (await get(forge, "/raw/main/text")).headers
