import re
from pathlib import Path

import pytest
from tests.web.support import open_app

from cairn.web.markup_pages import diagram_policy


async def test_diagrams_are_drawn_in_a_document_without_an_origin(tmp_path: Path) -> None:
    async with open_app(tmp_path) as running:
        answer = await running.client().get("/-/diagram")
    if answer.status_code == 404:
        pytest.skip("the browser libraries are not installed")
    policy = answer.headers["content-security-policy"]
    assert policy.endswith("frame-ancestors 'self'; sandbox allow-scripts")
    assert "default-src 'none'" in policy
    assert "connect-src" not in policy
    nonce = re.findall(r"'nonce-([^']+)'", policy)
    assert re.findall(r'<script type="module" nonce="([^"]+)"', answer.text) == nonce


def test_the_frame_neither_keeps_an_origin_nor_asks_anybody() -> None:
    policy = diagram_policy("x")
    assert "allow-same-origin" not in policy
    assert "https:" not in policy


async def test_every_shortcode_has_a_picture(tmp_path: Path) -> None:
    async with open_app(tmp_path) as running:
        client = running.client()
        names = (await client.get("/api/v3/emojis")).json()
        assert names["rocket"] == f"{running.settings.origin}/-/emoji/1f680.svg"
        picture = await client.get(names["rocket"])
        assert picture.headers["content-type"] == "image/svg+xml"
        assert "🚀" in picture.text
        assert "sandbox" in picture.headers["content-security-policy"]
        for wrong in ("/-/emoji/1f680.png", "/-/emoji/41.svg", "/-/emoji/..svg", "/-/emoji/<b>.svg"):
            assert (await client.get(wrong)).status_code == 404
