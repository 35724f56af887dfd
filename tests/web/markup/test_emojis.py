from cairn.web.markup.emojis import emoji_names, replace_shortcodes

_USED = "rocket +1 -1 thumbsup tada heart bug sparkles us de jp 100 e-mail shrug man_technologist"


def test_the_names_people_use_are_there() -> None:
    names = emoji_names()
    for name in _USED.split():
        assert name in names
    assert len(names) > 1_800


def test_only_known_names_between_colons_change() -> None:
    assert replace_shortcodes("at 10:30:45 :sparkles: :nothing_such: a:b") == "at 10:30:45 ✨ :nothing_such: a:b"
