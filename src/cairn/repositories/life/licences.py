"""Licences: their texts for a repository's first commit, and which one a file holds.

The texts are those of the package ``identify``. A file's is found by likeness: pairs of neighbouring words, those of
the copyright line aside, so that other line breaks, a missing title or a year change nothing.
"""

import re
from collections import Counter
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

from identify.vendor.licenses import LICENSES

UNKNOWN = "NOASSERTION"
"""SPDX's name for a licence that is there and that nobody knows."""

TEXT_BYTES_MAX = 128 << 10
"""Of a file that is looked at; the longest licence has 35 KiB."""

FILE_NAME = re.compile(rb"(?:un)?licen[sc]e(?:\.(?:md|txt|rst|markdown))?|copying(?:\.(?:md|txt))?", re.IGNORECASE)
"""Files at the root that hold a repository's licence, whole names."""

_ALIKE = 0.9
_LENGTHS_APART = 1.35
_NAMES = {
    "0BSD": "BSD Zero Clause License",
    "AFL-3.0": "Academic Free License v3.0",
    "AGPL-3.0": "GNU Affero General Public License v3.0",
    "Apache-2.0": "Apache License 2.0",
    "Artistic-2.0": "Artistic License 2.0",
    "BSD-2-Clause": 'BSD 2-Clause "Simplified" License',
    "BSD-3-Clause": 'BSD 3-Clause "New" or "Revised" License',
    "BSD-3-Clause-Clear": "BSD 3-Clause Clear License",
    "BSL-1.0": "Boost Software License 1.0",
    "CC-BY-4.0": "Creative Commons Attribution 4.0 International",
    "CC-BY-SA-4.0": "Creative Commons Attribution Share Alike 4.0 International",
    "CC0-1.0": "Creative Commons Zero v1.0 Universal",
    "ECL-2.0": "Educational Community License v2.0",
    "EPL-1.0": "Eclipse Public License 1.0",
    "EPL-2.0": "Eclipse Public License 2.0",
    "EUPL-1.1": "European Union Public License 1.1",
    "EUPL-1.2": "European Union Public License 1.2",
    "GPL-2.0": "GNU General Public License v2.0",
    "GPL-3.0": "GNU General Public License v3.0",
    "ISC": "ISC License",
    "LGPL-2.1": "GNU Lesser General Public License v2.1",
    "LGPL-3.0": "GNU Lesser General Public License v3.0",
    "LPPL-1.3c": "LaTeX Project Public License v1.3c",
    "MIT": "MIT License",
    "MPL-2.0": "Mozilla Public License 2.0",
    "MS-PL": "Microsoft Public License",
    "MS-RL": "Microsoft Reciprocal License",
    "NCSA": "University of Illinois/NCSA Open Source License",
    "OFL-1.1": "SIL Open Font License 1.1",
    "OSL-3.0": "Open Software License 3.0",
    "PostgreSQL": "PostgreSQL License",
    "UPL-1.0": "Universal Permissive License v1.0",
    "Unlicense": "The Unlicense",
    "WTFPL": "Do What The F*ck You Want To Public License",
    "Zlib": "zlib License",
}
_OFFERED_FIRST = ("MIT", "Apache-2.0", "GPL-3.0", "AGPL-3.0", "BSD-2-Clause", "BSD-3-Clause", "MPL-2.0", "Unlicense")
_COPYRIGHT = re.compile(r"^\W*(?:copyright\b|©|\(c\)).*$", re.MULTILINE | re.IGNORECASE)
_ALL_RIGHTS = re.compile(r"^\W*all rights reserved\W*$", re.MULTILINE | re.IGNORECASE)
_WORD = re.compile(r"[a-z0-9]+")


@dataclass(frozen=True, slots=True)
class Licence:
    """A licence we have the text of. ``spdx_id`` is SPDX's name; ``key``, in addresses, the same in lower case."""

    spdx_id: str
    name: str
    body: str

    @property
    def key(self) -> str:
        """GitHub's word for it."""
        return self.spdx_id.lower()

    def text_for(self, holder: str, year: int) -> str:
        """Return the text with the holder and the year where it asks for them."""
        filled = self.body.replace("[year]", str(year)).replace("[fullname]", holder)
        return filled if filled.endswith("\n") else filled + "\n"


@cache
def list_licences() -> tuple[Licence, ...]:
    """Return every licence, those that are chosen most first, the others by name."""
    texts = dict(LICENSES)
    rest = sorted(texts.keys() - set(_OFFERED_FIRST), key=str.lower)
    order = [*(one for one in _OFFERED_FIRST if one in texts), *rest]
    return tuple(Licence(one, _NAMES.get(one, one), texts[one].lstrip("\n")) for one in order)


def find_licence(key: str) -> Licence | None:
    """Return the licence of a key or an SPDX name, without case; None if we have none."""
    return next((one for one in list_licences() if one.key == key.lower()), None)


def name_of(spdx_id: str) -> str:
    """Return a licence's whole name; "Other" for one that nobody knows."""
    return "Other" if spdx_id == UNKNOWN else _NAMES.get(spdx_id, spdx_id)


def recognise(text: str) -> str:
    """Return SPDX's name of the licence a text holds, or UNKNOWN. Some milliseconds: for a thread."""
    pairs = _pairs(text)
    size = sum(pairs.values())
    best, likeness = UNKNOWN, _ALIKE
    for licence, theirs, their_size in _known():
        if not size or max(size, their_size) / min(size, their_size) > _LENGTHS_APART:
            continue
        found = 2 * sum((pairs & theirs).values()) / (size + their_size)
        if found > likeness:
            best, likeness = licence.spdx_id, found
    return best


@cache
def _known() -> tuple[tuple[Licence, Counter[tuple[str, str]], int], ...]:
    each = [(licence, _pairs(licence.body)) for licence in list_licences()]
    return tuple((licence, pairs, max(1, sum(pairs.values()))) for licence, pairs in each)


def _pairs(text: str) -> Counter[tuple[str, str]]:
    words = _WORD.findall(_ALL_RIGHTS.sub("", _COPYRIGHT.sub("", text)).lower())
    return Counter(pairwise(words))
