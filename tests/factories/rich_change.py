"""A change with every kind of thing in it that a diff can show, made by stock git."""

import struct
import zlib
from pathlib import Path

from tests.factories.git_repositories import StockRepository, init

from cairn.git.types import Oid

MILL = '''"""The mill: takes numbers from the store, works on them, puts them back."""

from engine.store import Store


def turn(store: Store, column: int) -> int:
    """Return what one turn makes of a column."""
    value = store.take(column)
    return value * 2


def carry(store: Store, columns: list[int]) -> None:
    """Carry from each column to the next one, as the hand does on paper."""
    for column in columns:
        if store.peek(column) > 9:
            store.put(column, store.peek(column) - 10)
            store.put(column + 1, store.peek(column + 1) + 1)


def reset(store: Store) -> None:
    store.clear()
'''
CARRY = MILL[MILL.index("def carry") : MILL.index("def reset")]
LONG = "".join(f"line {number} of a long file\n" for number in range(1, 201))
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize {}\n"
LINK = "1" * 40


def picture(width: int, height: int, colour: tuple[int, int, int], inner: tuple[int, int, int]) -> bytes:
    """Return a PNG: a field of one colour with a square of another."""
    rows = b""
    for y in range(height):
        row = b"".join(
            bytes(inner if width // 4 < x < width * 3 // 4 and height // 4 < y < height * 3 // 4 else colour)
            for x in range(width)
        )
        rows += b"\0" + row

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def make_rich_change(folder: Path) -> tuple[StockRepository, Oid, Oid]:
    """Return a repository whose main branch ends in such a change, with the commits before and after it."""
    made = init(folder)
    made.commit(
        {
            "README.md": "# Engine\n\nA mill and a store.\n",
            "docs/long.txt": LONG,
            "docs/old name.txt": LONG.replace("long", "renamed"),
            "docs/windows.txt": "one\r\ntwo\r\nthree\r\n",
            "docs/latin.txt": b"Caf\xe9 au lait\nth\xe9\n",
            "docs/open.txt": "the end\n",
            "engine/mill.py": MILL,
            "engine/store.py": "class Store:\n    def clear(self) -> None:\n        self.values = {}\n",
            "gone.txt": "Nobody needs this.\n",
            "package-lock.json": '{\n  "lockfileVersion": 2\n}\n',
            "pictures/wheel.png": picture(160, 120, (232, 226, 214), (15, 106, 94)),
            "run.sh": "#!/bin/sh\nexec engine\n",
            "data.bin": bytes(range(256)) * 8,
            "weights.bin": POINTER.format("a" * 64, 1_234_567),
            "static/app.min.js": "x" * 3000 + "\n",
            "wide.txt": "first\n" + "w" * 3000 + "\nlast\n",
        },
        "Begin",
    )
    made.git("update-index", "--add", "--cacheinfo", f"160000,{LINK},modules/gears")
    (made.path / "modules/gears").mkdir(parents=True)
    (made.path / "current").symlink_to("engine/mill.py")
    before = made.commit({}, "Add a submodule and a link")
    made.git("mv", "docs/old name.txt", "docs/new name.txt")
    (made.path / "run.sh").chmod(0o755)
    (made.path / "current").unlink()
    (made.path / "current").symlink_to("engine/store.py")
    made.git("update-index", "--add", "--cacheinfo", f"160000,{'2' * 40},modules/gears")
    mill = (
        MILL.replace(CARRY, "")
        .replace("value * 2", "value * factor")
        .replace("column: int) -> int", "column: int, *, factor: int = 2) -> int")
    )
    after = made.commit(
        {
            "README.md": "# Engine\n\nA mill, a store and a printer.\n\nIt prints.\n",
            "docs/long.txt": LONG.replace("line 60 of", "line sixty of").replace("line 150 of", "line 150\tof"),
            "docs/new name.txt": LONG.replace("long", "renamed").replace("line 7 of", "line seven of"),
            "docs/windows.txt": "one\r\ntwo and a half\r\nthree\r\n",
            "docs/latin.txt": b"Caf\xe9 cr\xe8me\nth\xe9\n",
            "docs/open.txt": "the end, without a line end",
            "docs/trojan.py": "if admin:  # \u202e } \u2066 begin admins only\n    pass\n",
            "engine/mill.py": mill,
            "engine/store.py": "class Store:\n    def clear(self) -> None:\n        self.values  =  {}\n",
            "engine/carry.py": '"""Carrying."""\n\nfrom engine.store import Store\n\n\n' + CARRY.rstrip("\n") + "\n",
            "engine/printer.py": 'def show(value: int) -> str:\n    return f"<b>{value:,}</b>"\n',
            "gone.txt": None,
            "package-lock.json": '{\n  "lockfileVersion": 3\n}\n',
            "pictures/wheel.png": picture(160, 120, (232, 226, 214), (168, 50, 42)),
            "pictures/new.png": picture(64, 64, (45, 91, 134), (250, 248, 245)),
            "data.bin": bytes(range(256)) * 9,
            "weights.bin": POINTER.format("b" * 64, 2_345_678),
            "static/app.min.js": "y" * 3000 + "\n",
            "wide.txt": "first\n" + "w" * 3000 + " changed\nlast\n",
            "empty": "",
        },
        "Give the mill a factor\n\nCarrying is a thing of its own now.",
    )  # fmt: skip
    return made, before, after
