import pytest

from cairn.identity.browsers import describe_browser

MOZILLA = "Mozilla/5.0"
KHTML = "(KHTML, like Gecko)"


@pytest.mark.parametrize(
    ("user_agent", "words"),
    [
        (f"{MOZILLA} (X11; Linux x86_64; rv:142.0) Gecko/20100101 Firefox/142.0", "Firefox on Linux"),
        (f"{MOZILLA} (X11; Linux x86_64) AppleWebKit/537.36 {KHTML} Chrome/140.0 Safari/537.36", "Chrome on Linux"),
        (
            f"{MOZILLA} (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 {KHTML} Chrome/140.0 Safari/537.36 Edg/140.0",
            "Edge on Windows",
        ),
        (
            f"{MOZILLA} (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 {KHTML} Version/18.1 Safari/605.1.15",
            "Safari on macOS",
        ),
        (
            f"{MOZILLA} (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605 {KHTML} CriOS/140.0 Safari/604.1",
            "Chrome on iPhone",
        ),
        (
            f"{MOZILLA} (Linux; Android 15) AppleWebKit/537.36 {KHTML} Chrome/140.0 Mobile Safari/537.36",
            "Chrome on Android",
        ),
        ("curl/8.9.1", "curl"),
        (f"{MOZILLA} (X11; Linux x86_64) Something/1.0", "A browser on Linux"),
        ("", "An unknown browser"),
        ("\x00<script>", "An unknown browser"),
    ],
)
def test_a_person_recognises_their_browser(user_agent: str, words: str) -> None:
    assert describe_browser(user_agent) == words
