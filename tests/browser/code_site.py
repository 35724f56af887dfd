"""A repository with one of everything, and the addresses of all pages that show it."""

import asyncio
import re
from pathlib import Path

from tests.browser.conftest import Site, Visitor
from tests.factories.git_repositories import StockRepository, init
from tests.factories.pictures import picture

LONG = "a-very-long-name-" * 8 + ".txt"
SOURCE = "def store(wheel: int) -> int:\n    return wheel\n"
README = """# Engine

A **mill** and a [store](src/store.py).

- [x] Brass
- [ ] Iron

| Part | Of |
|---|--:|
| Mill | brass |

> [!WARNING]
> It is heavy.

```python
def mill(): ...
```

A note.[^1]

[^1]: By the engineer.
"""
LFS_POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'4d' * 32}\nsize 12345\n"


def _lay_out(folder: Path) -> StockRepository:
    """Return a work tree with files of every kind, a merge, a second branch, tags, and a long history of one file."""
    made = init(folder)
    made.commit({"README.md": "# Engine\n", "src/store.py": SOURCE, "src/" + LONG: "x" * 400}, "Lay the first stone")
    made.commit(
        {
            "README.md": README,
            "docs/guide.rst": "Guide\n=====\n\nSome *words*.\n",
            "data/masses.csv": "stone,mass\ngranite,2.7\nslate,2.8\n",
            "data/blob.bin": bytes(range(256)) * 8,
            "data/large.dat": LFS_POINTER,
            "art/mark.png": picture(40, 24),
            "empty.txt": "",
            "notes.txt": "\n".join(f"line {number} of the notes" for number in range(1, 60)) + "\n",
        },
        "Write all of it down, at such a length that the subject has to be cut where a row ends\n\nBecause it must.",
    )
    (made.path / "latest").symlink_to("src/store.py")
    made.commit({"src/store.py": SOURCE.replace("return wheel", "return wheel + 1  # carry")}, "Carry the one")
    made.git("tag", "-a", "-m", "The first", "v1")
    made.git("checkout", "-q", "-b", "carriage/with-a-rather-long-name-that-has-to-be-cut")
    made.commit({"src/carriage.py": "def anticipate(): ...\n", "art/mark.png": picture(40, 24, "brown")}, "Anticipate")
    made.git("checkout", "-q", "-b", "carriage-2", "main")
    made.commit(
        {"src/carriage.py": "def anticipate(now): ...\n", "art/mark.png": picture(40, 24, "brown")}, "Anticipate"
    )
    made.git("checkout", "-q", "main")
    made.commit({"notes.txt": None, "docs/notes.txt": "moved\n"}, "Move the notes")
    made.git("tag", "v2")
    return made


async def fill(visitor: Visitor, site: Site, folder: Path) -> None:
    """Let a visitor be ada, with ada/engine full of everything and ada/bare empty."""
    await visitor.join("ada")
    await visitor.create("bare")
    await visitor.create("engine")
    await site.let_objects_be_lost("engine")
    made = await asyncio.to_thread(_lay_out, folder)
    await asyncio.to_thread(made.git, "push", "-q", site.git_url("ada", "engine"), "--all")
    await asyncio.to_thread(made.git, "push", "-q", site.git_url("ada", "engine"), "--tags")


READING = (
    "/ada/engine",
    "/ada/engine/tree/main/src",
    "/ada/engine/tree/v1",
    "/ada/engine/blob/main/src/store.py",
    "/ada/engine/blob/main/README.md",
    "/ada/engine/blob/main/README.md?plain=1",
    "/ada/engine/blob/main/docs/guide.rst",
    "/ada/engine/blob/main/data/masses.csv",
    "/ada/engine/blob/main/data/blob.bin",
    "/ada/engine/blob/main/data/large.dat",
    "/ada/engine/blob/main/art/mark.png",
    "/ada/engine/blob/main/empty.txt",
    "/ada/engine/blob/main/latest",
    f"/ada/engine/blob/main/src/{LONG}",
    "/ada/engine/blame/main/src/store.py",
    "/ada/engine/find/main",
    "/ada/engine/find/main?q=store",
    "/ada/engine/search?q=wheel",
    "/ada/engine/search?q=nowhere-at-all",
    "/ada/engine/commits",
    "/ada/engine/commits/main/src/store.py",
    "/ada/engine/commit/main",
    "/ada/engine/commit/main?diff=split",
    "/ada/engine/commit/v1/refs",
    "/ada/engine/branches",
    "/ada/engine/tags",
    "/ada/engine/refs?what=branches&verb=tree&path=&at=main",
    "/ada/engine/contributors",
    "/ada/engine/compare",
    "/ada/engine/compare/v1...carriage-2",
    "/ada/engine/compare/v1..v2",
    "/ada/engine/range-diff",
    "/ada/engine/range-diff/carriage%2Fwith-a-rather-long-name-that-has-to-be-cut...carriage-2",
    "/ada/bare",
)
"""Every page of a repository that is read, with what it shows of each kind."""

ANSWERS = re.compile(r"/raw/|/paths/")
"""Addresses of the same package that are no pages."""
