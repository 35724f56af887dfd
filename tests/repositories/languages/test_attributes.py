"""What .gitattributes says of files, and which files count for nothing by their path."""

import pytest

from cairn.repositories.languages.attributes import NOTHING_SAID, Attributes, Said, is_left_out

ROOT = b"""# comment
*.inc linguist-language=PHP text
/lib/** linguist-vendored
lib/ours/** -linguist-vendored
"with blank/*" linguist-generated=true
*.md linguist-detectable linguist-documentation=false
!x linguist-vendored
[attr]macro linguist-vendored
*.c !linguist-language
lonely
"""


def test_later_lines_and_deeper_folders_win() -> None:
    attributes = Attributes.read({b"src/.gitattributes": b"*.inc linguist-language=C++\n", b".gitattributes": ROOT})
    assert attributes.of(b"a.inc") == Said(language="PHP")
    assert attributes.of(b"src/deep/a.inc") == Said(language="C++")
    assert attributes.of(b"lib/a.py") == Said(vendored=True)
    assert attributes.of(b"lib/ours/a.py") == Said(vendored=False)
    assert attributes.of(b"with blank/x") == Said(generated=True)
    assert attributes.of(b"a.md") == Said(documentation=False, detectable=True)
    assert attributes.of(b"a.c") == Said(language="")
    assert attributes.of(b"x") == NOTHING_SAID
    assert Attributes.read({}).of(b"a.inc") == NOTHING_SAID


@pytest.mark.parametrize(
    "path",
    [
        *(b"vendor/a.go", b"x/node_modules/b.js", b"dist/app.js", b"static/jquery-3.1.min.js", b".github/x.yml"),
        *(b"package-lock.json", b"a/yarn.lock", b"app.min.js", b"style.css.map", b"api_pb2.py", b"x.pb.go"),
        *(b"docs/conf.py", b"examples/a.py", b"a/documentation/x.rb", b"README.md", b"configure"),
    ],
)
def test_what_nobody_wrote_here_counts_for_nothing_unless_it_is_said_otherwise(path: bytes) -> None:
    assert is_left_out(path, NOTHING_SAID)
    assert not is_left_out(path, Said(vendored=False, generated=False, documentation=False))


@pytest.mark.parametrize("path", [b"src/a.py", b"vendors.py", b"documents/a.py", b"src/min.js", b"readme_parser.py"])
def test_other_files_count_unless_it_is_said_otherwise(path: bytes) -> None:
    assert not is_left_out(path, NOTHING_SAID)
    for said in (Said(vendored=True), Said(generated=True), Said(documentation=True)):
        assert is_left_out(path, said)
