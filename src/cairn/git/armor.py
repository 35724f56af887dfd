"""Where the signature at the end of a tag begins. Source: parse_signature of git's gpg-interface."""

_OPENINGS = (
    b"-----BEGIN PGP SIGNATURE-----",
    b"-----BEGIN PGP MESSAGE-----",
    b"-----BEGIN SSH SIGNATURE-----",
    b"-----BEGIN SIGNED MESSAGE-----",
)


def signature_start(message: bytes) -> int:
    """Return where the last line begins that opens a signature; the length of the message if none does."""
    found = [message.rfind(b"\n" + opening) + 1 for opening in _OPENINGS]
    start = max(found)
    if start:
        return start
    return 0 if message.startswith(_OPENINGS) else len(message)
