from cairn.web.markup.code_blocks import COLOURED_CHARACTERS_MAX, CodeBlocks, languages_in


def test_code_is_coloured_while_there_is_little_of_it() -> None:
    blocks = CodeBlocks()
    assert "hl-k" in blocks.html("def f(): pass\n", "python")
    blocks.html("x\n" * (COLOURED_CHARACTERS_MAX // 2), "")
    assert "hl-k" not in blocks.html("def f(): pass\n", "python")


def test_languages_are_named_before_a_text_is_rendered() -> None:
    text = "```python\n```\n\n- ```js\n\n> ~~~ RUST title\n\n.. code-block:: c\n\n``` not`one\nx```"
    assert set(languages_in(text)) == {"python", "js", "rust", "not", "c"}
    assert len(languages_in("".join(f"```l{n}\n```\n" for n in range(100)))) == 30
