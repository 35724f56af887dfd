"""Shortcodes such as ``:rocket:``, by the names of the emoji package, which has GitHub's."""

import re
from functools import lru_cache

_SHORTCODE = re.compile(r":([a-z0-9_+-]{1,60}):")


@lru_cache(maxsize=1)
def emoji_names() -> dict[str, str]:
    """Return the characters of every shortcode, by its name without colons."""
    import emoji

    usual = emoji.STATUS["fully_qualified"]
    found: dict[str, str] = {}
    for characters, facts in emoji.EMOJI_DATA.items():
        if facts["status"] <= usual:
            for said in (*facts.get("alias", []), facts["en"]):
                name = str(said).strip(":").lower()
                if _SHORTCODE.fullmatch(f":{name}:"):
                    found.setdefault(name, characters)
    return found


def replace_shortcodes(text: str) -> str:
    """Return the text with each shortcode that has a character replaced by it; others stay as written."""
    if text.count(":") < 2:
        return text
    names = emoji_names()
    return _SHORTCODE.sub(lambda match: names.get(match[1], match[0]), text)
