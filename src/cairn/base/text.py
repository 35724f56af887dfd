"""Text that people give and databases keep."""


def problem_of_text(text: str, *, max_length: int, is_multiline: bool = False) -> str | None:
    """Return what is wrong with a text somebody typed, to follow its name (``has 300 characters; …``); None if nothing.

    Control characters are refused (PostgreSQL keeps no NUL, terminals and mails obey others), line ends and tabs unless
    ``is_multiline``; so are halves of surrogate pairs, which JSON can carry and no database takes.
    """
    if len(text) > max_length:
        return f"has {len(text):,} characters; the limit is {max_length:,}."
    allowed = "\n\r\t" if is_multiline else ""
    if any((letter < " " or letter == "\x7f") and letter not in allowed for letter in text):
        return "has characters that cannot be shown." if is_multiline else "must be one line of text."
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        return "has characters that are half of one."
    return None
