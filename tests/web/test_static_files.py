import gzip
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from structlog.testing import capture_logs
from tests.web.support import Running, open_app

from cairn.web.static_files import StaticFiles

ROOT = Path(__file__).parents[2]


@pytest.fixture
async def running(tmp_path: Path) -> Any:
    async with open_app(tmp_path) as app:
        yield app


async def test_files_are_immutable_and_named_by_content(running: Running) -> None:
    url = running.app.site.renderer.static_url("app.css")
    answer = await running.client(**{"accept-encoding": "identity"}).get(url)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["content-type"] == "text/css; charset=utf-8"
    assert "content-encoding" not in answer.headers
    again = await running.client(**{"if-none-match": answer.headers["etag"]}).get(url)
    assert (again.status_code, again.content) == (304, b"")
    packed = await running.client(**{"accept-encoding": "gzip"}).head(url)
    assert packed.headers["content-encoding"] == "gzip"
    assert int(packed.headers["content-length"]) == len(gzip.compress(answer.content, mtime=0))


async def test_a_file_is_found_by_its_hashed_name_only(running: Running) -> None:
    for path in ("/-/static/app.css", "/-/static/../app.py", "/-/static/", "/-/static/%2e%2e/app.py"):
        assert (await running.client().get(path)).status_code == 404
    assert (await running.client().post(running.app.site.renderer.static_url("app.css"))).status_code == 405


def test_an_unknown_name_is_an_error() -> None:
    with pytest.raises(KeyError):
        StaticFiles(("cairn.web",)).url("missing.css")


async def test_a_reading_page_is_under_100_kb_in_all(running: Running) -> None:
    static = StaticFiles(("cairn.web",))
    page = (await running.browser().get("/nothing/at/all")).content
    assets = sum(
        len(found.body) for name in ("app.css", "app.js", "logo.svg") if (found := static.find(static.url(name)))
    )
    assert len(page) + assets < 100_000


def package_with_library(folder: Path, chunk: str) -> StaticFiles:
    """Return the static files of a new package whose one library is a module that imports another."""
    made = folder / f"made_{len(list(folder.iterdir()))}" / "static" / "lib"
    (made / "draw" / "chunks").mkdir(parents=True)
    about = {"version": "1.2.3", "licence": "MIT", "entry": "draw.mjs"}
    (made / "libraries.json").write_text(json.dumps({"libraries": {"draw": about}}))
    (made / "licences.txt").write_text("MIT")
    (made / "draw" / "draw.mjs").write_text('import "./chunks/a.mjs"')
    (made / "draw" / "chunks" / "a.mjs").write_text(chunk)
    (made / "draw" / "chunks" / "a.mjs.gz").write_bytes(gzip.compress(chunk.encode()))
    package = made.parents[1]
    (package / "__init__.py").write_text("")
    return StaticFiles((package.name,))


def test_a_library_is_addressed_by_all_of_its_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    one, other = (package_with_library(tmp_path, chunk) for chunk in ("let a = 1", "let a = 2"))
    url = PurePosixPath(one.library_url("draw"))
    assert re.fullmatch(r"/-/static/lib/draw\.[0-9a-f]{12}/draw\.mjs", str(url))
    assert one.library_url("draw") != other.library_url("draw"), "a module that it imports has changed"
    chunk = one.find(str(url.parent / "chunks/a.mjs"))
    assert chunk is not None
    assert chunk.content_type == "text/javascript; charset=utf-8"
    assert chunk.gzipped is not None
    assert gzip.decompress(chunk.gzipped) == chunk.body == b"let a = 1"
    assert one.find(str(url.parent / "chunks/a.mjs.gz")) is None
    assert one.find(one.url("lib/licences.txt")) is not None
    assert (one.libraries["draw"].version, one.libraries["draw"].licence) == ("1.2.3", "MIT")


def test_without_libraries_the_log_says_so_once_and_pages_have_no_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "plain_package"
    (package / "static").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    static = StaticFiles(("plain_package",))
    with capture_logs() as logged:
        static.report_missing()
    assert static.library_url("htmx") == ""
    assert [(entry["event"], entry["log_level"]) for entry in logged] == [("browser_libraries_missing", "warning")]


async def test_installed_libraries_are_served_to_frames_without_an_origin(running: Running) -> None:
    for library in StaticFiles(("cairn.web",)).libraries.values():
        answer = await running.client(**{"accept-encoding": "gzip"}).get(library.url)
        assert answer.status_code == 200
        assert answer.headers["content-encoding"] == "gzip"
        assert answer.headers["access-control-allow-origin"] == "*"
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"


@pytest.mark.parametrize(("arguments", "status"), [([], 0), (["--required"], 1)])
def test_without_npm_a_checkout_is_set_up_and_a_wheel_is_not(tmp_path: Path, arguments: list[str], status: int) -> None:
    shutil.copytree(ROOT / "assets", tmp_path / "assets")
    (tmp_path / "scripts").mkdir()
    script = shutil.copy(ROOT / "scripts/browser-libraries", tmp_path / "scripts")
    (tmp_path / "bin").mkdir()
    python = tmp_path / "bin/python"
    python.symlink_to(sys.executable)
    environment = {**os.environ, "PATH": str(tmp_path / "bin")}
    done = subprocess.run(
        [str(python), script, *arguments], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == status
    assert "there is no npm" in done.stderr
    assert not (tmp_path / "src").exists()


def test_the_lock_file_of_the_libraries_is_complete_and_names_no_registry() -> None:
    packages = json.loads((ROOT / "assets/package-lock.json").read_text("utf-8"))["packages"]
    assert packages[""]["dependencies"] == json.loads((ROOT / "assets/package.json").read_text("utf-8"))["dependencies"]
    for name, package in packages.items():
        assert "resolved" not in package, name
        assert not name or package["integrity"].startswith("sha512-"), name


@pytest.mark.nightly
def test_a_wheel_has_the_libraries_and_their_licences(tmp_path: Path) -> None:
    if not StaticFiles(("cairn.web",)).libraries:
        pytest.skip("the browser libraries are not installed: scripts/browser-libraries")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=300)
    names = zipfile.ZipFile(next(tmp_path.glob("*.whl"))).namelist()
    lib = "cairn/web/static/lib/"
    assert {f"{lib}libraries.json", f"{lib}licences.txt", f"{lib}htmx/htmx.esm.min.js"} <= set(names)
    assert len([name for name in names if name.startswith(f"{lib}mermaid/") and name.endswith(".mjs")]) > 50
