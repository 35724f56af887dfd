"""Pictures for tests: of one colour, as large as is said."""

import io

from PIL import Image


def picture(width: int, height: int, colour: str = "teal") -> bytes:
    """Return a PNG of this many pixels."""
    out = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(out, "PNG")
    return out.getvalue()
