from cairn.web.asgi import header


def test_a_header_is_found_by_its_lower_case_name() -> None:
    scope = {"headers": [(b"accept", b"a"), (b"accept", b"b")]}
    assert (header(scope, b"accept"), header(scope, b"host")) == (b"a", b"")
