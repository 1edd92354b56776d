"""Small pictures of five by three pixels, as a browser encodes them, and what can be wrong with one."""

from base64 import b64decode
from struct import pack
from zlib import crc32

PNG = b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAUAAAADCAYAAABbNsX4AAAAIElEQVR4AWzIMQkAAAACQTGI/aPYSnfx4ZejpezE6WIBAAD//1mi"
    "8qMAAAAGSURBVAMAD9AKFm2zE9MAAAAASUVORK5CYII="
)
JPEG = b64decode(
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAFA3PEY8MlBGQUZaVVBfeMiCeG5uePWvuZHI////////////////////////////////"
    "////////////////////2wBDAVVaWnhpeOuCguv/////////////////////////////////////////////////////////////"
    "////////////wAARCAADAAUDASIAAhEBAxEB/8QAFQABAQAAAAAAAAAAAAAAAAAAAAP/xAAUEAEAAAAAAAAAAAAAAAAAAAAA/8QA"
    "FQEBAQAAAAAAAAAAAAAAAAAAAgT/xAAUEQEAAAAAAAAAAAAAAAAAAAAA/9oADAMBAAIRAxEAPwCQAKH/2Q=="
)
WEBP = b64decode(
    "UklGRlgAAABXRUJQVlA4WAoAAAAQAAAABAAAAgAAQUxQSBAAAAABDzCAERFCIYAAKGgi+h8/VlA4ICIAAABwAQCdASoFAAMAB0CW"
    "JZgCdAFAAAD+5AAMG/syEYrTMQAA"
)
LOSSLESS = b64decode("UklGRjYAAABXRUJQVlA4WAoAAAAQAAAABAAAAgAAVlA4TBgAAAAvBIAAEA8wHnM8HgMY8FAIIAAKmoj+xw8=")


def png_chunk(kind: bytes, content: bytes) -> bytes:
    """One chunk of a PNG."""
    return pack(">I", len(content)) + kind + content + pack(">I", crc32(kind + content))


def png_with(kind: bytes, content: bytes) -> bytes:
    """The PNG with a chunk behind its head."""
    return PNG[:33] + png_chunk(kind, content) + PNG[33:]


def png_of(width: int, height: int) -> bytes:
    """A PNG whose head promises a size, and which has the data of a small one."""
    return PNG[:16] + pack(">II", width, height) + PNG[24:]


def jpeg_with(marker: int, content: bytes) -> bytes:
    """The JPEG with a segment behind its first marker."""
    return JPEG[:2] + bytes([0xFF, marker]) + pack(">H", len(content) + 2) + content + JPEG[2:]


def webp_with(kind: bytes, content: bytes) -> bytes:
    """The WebP with a chunk at its end."""
    body = WEBP[8:] + kind + pack("<I", len(content)) + content + b"\0" * (len(content) % 2)
    return b"RIFF" + pack("<I", len(body)) + body
