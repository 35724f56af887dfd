from cairn.web.markup.references import REFERENCES_MAX, find_references


def test_what_may_be_references_is_found_with_its_kind() -> None:
    text = (
        "@ada and @org/team see #12, GH-7, ada/engine#3, 1a2b3c4d, "
        "ada/engine@0123456789abcdef0123456789abcdef01234567; "
        "mail x@y.test, path/@no, a#1, deadbeef, 1234567, facade, #0"
    )
    assert find_references(text) == {
        "@ada": "mention",
        "@org/team": "mention",
        "#12": "issue",
        "GH-7": "issue",
        "ada/engine#3": "issue",
        "1a2b3c4d": "commit",
        "ada/engine@0123456789abcdef0123456789abcdef01234567": "commit",
    }


def test_there_is_an_end_to_looking_up() -> None:
    assert len(find_references(" ".join(f"#{n}" for n in range(1, 1000)))) == REFERENCES_MAX
