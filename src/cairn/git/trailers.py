"""Trailers: the lines ``Name: value`` at the end of a commit's message, and who is named in them."""

import re

_TRAILER = re.compile(r"([A-Za-z][A-Za-z0-9-]*):[ \t]+(\S.*)")
_PERSON = re.compile(r"(.*?)\s*<([^<>\s]+)>")
_TRAILERS_MAX = 100


def read_trailers(message: str) -> list[tuple[str, str]]:
    """Return name and value of each trailer, in their order; a name's second line continues the value.

    They are the last paragraph, if there is one after the subject and every line of it is a trailer or continues one.
    Source: git-interpret-trailers(1), without its leniency for paragraphs that are trailers only in part.
    """
    paragraphs = re.split(r"\n[ \t]*\n", message.strip("\n"))
    if len(paragraphs) == 1:
        return []
    found: list[tuple[str, str]] = []
    for line in paragraphs[-1].rstrip().split("\n"):
        if line[:1] in {" ", "\t"} and found:
            found[-1] = (found[-1][0], f"{found[-1][1]} {line.strip()}")
        elif match := _TRAILER.fullmatch(line.rstrip()):
            found.append((match[1], match[2]))
        else:
            return []
    return found[:_TRAILERS_MAX]


def co_authors(message: str) -> list[tuple[str, str]]:
    """Return name and address of everybody whom ``Co-authored-by`` names, each address once."""
    found: dict[str, tuple[str, str]] = {}
    for name, value in read_trailers(message):
        if name.lower() == "co-authored-by" and (match := _PERSON.fullmatch(value)):
            found.setdefault(match[2].lower(), (match[1] or match[2], match[2]))
    return list(found.values())
