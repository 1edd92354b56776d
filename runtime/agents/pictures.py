"""Pictures as they come: what they are by their own bytes, how large they unfold, and without what they say of people.

PNG (W3C PNG, third edition), JPEG (ITU-T T.81) and WebP (RFC 9649). Nothing is decoded: a picture's size stands in its
head, and what decodes it later makes room by that. Pure.
"""

import re
from collections.abc import Iterator
from struct import error as StructError
from struct import unpack_from

import msgspec

from runtime.errors import Invalid

MAX_BYTES = 5_000_000
MAX_PIXELS = 25_000_000

_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_KEPT = frozenset({b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"gAMA", b"cHRM", b"sRGB"})
"""What draws the picture. The rest is text, EXIF, colour profiles and further frames, some of it packed."""
_WEBP_KEPT = frozenset({b"VP8 ", b"VP8L", b"VP8X", b"ALPH"})
_WEBP_ANIMATED, _WEBP_FLAGS_KEPT = 0x02, 0x10
_JPEG_SIZES = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
"""Markers that begin a frame; the others among them are tables."""
_ANOTHER_FRAME = re.compile(rb"\xff[\xc0-\xc3\xc5-\xc7\xc9-\xcb\xcd-\xcf]")
_JPEG_KEPT_APPS = frozenset({0xE0, 0xEE})
"""JFIF, and Adobe's, which says how colours are coded."""
_BARE = frozenset({0x01, *range(0xD0, 0xD8)})
"""Markers without a length."""


class Picture(msgspec.Struct, frozen=True):
    """A picture that may be shown."""

    media_type: str
    width: int
    height: int
    data: bytes


def read_picture(
    data: bytes, *, max_bytes: int = MAX_BYTES, max_pixels: int = MAX_PIXELS, keeps_metadata: bool = False
) -> Picture:
    """What the bytes are. Raises Invalid for anything but one whole picture within the limits.

    Without `keeps_metadata` its places, times, cameras, comments and colour profiles are left out.
    """
    if len(data) > max_bytes:
        raise Invalid(
            "vision.too_large", f"the picture has {len(data):,} bytes, and {max_bytes:,} are read; raise max_size"
        )
    try:
        picture = _read(data)
    except (StructError, IndexError, ValueError):
        raise Invalid("vision.damaged", "the picture ends early, or is not what its first bytes say") from None
    if picture.width * picture.height > max_pixels:
        raise Invalid(
            "vision.too_many_pixels",
            f"the picture unfolds to {picture.width:,} × {picture.height:,} pixels, and {max_pixels:,} are the most; "
            "raise max_pixels, or scale it down",
        )
    return msgspec.structs.replace(picture, data=data) if keeps_metadata else picture


def _read(data: bytes) -> Picture:
    if data.startswith(_PNG):
        return _png(data)
    if data.startswith(b"\xff\xd8\xff"):
        return _jpeg(data)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _webp(data)
    raise Invalid("vision.unknown_format", "the picture is neither PNG, JPEG nor WebP by its first bytes")


def _png(data: bytes) -> Picture:
    chunks = list(_png_chunks(data))
    kinds = [kind for kind, _ in chunks]
    if kinds[0] != b"IHDR" or kinds[-1] != b"IEND" or b"IDAT" not in kinds:
        raise ValueError
    width, height = unpack_from(">II", chunks[0][1], 8)
    _check_size(width, height)
    kept = b"".join(raw for kind, raw in chunks if kind in _PNG_KEPT)
    return Picture("image/png", width, height, _PNG + kept)


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and bytes of each, up to the last; what stands behind that is no part of the picture."""
    at, kind = len(_PNG), b""
    while kind != b"IEND":
        length, kind = unpack_from(">I4s", data, at)
        end = at + 12 + length
        if end > len(data):
            raise ValueError
        yield kind, data[at:end]
        at = end


def _jpeg(data: bytes) -> Picture:
    kept, size, at = [data[:2]], (0, 0), 2
    while True:
        marker, start = _jpeg_marker(data, at)
        if marker in _BARE:
            at = start
            continue
        (length,) = unpack_from(">H", data, start)
        end = start + length
        if marker == 0xD9 or length < 2 or end > len(data):
            raise ValueError
        if marker in _JPEG_SIZES:
            height, width = unpack_from(">HH", data, start + 3)
            size = (max(size[0], width), max(size[1], height))
        if marker == 0xDA:
            break
        if marker in _JPEG_KEPT_APPS or not (0xE0 <= marker <= 0xEF or marker == 0xFE):
            kept.append(b"\xff" + bytes([marker]) + data[start:end])
        at = end
    _check_size(*size)
    scans = data[start - 2 : data.index(b"\xff\xd9", end) + 2]
    if _ANOTHER_FRAME.search(scans):  # it would unfold to a size of its own
        raise ValueError
    return Picture("image/jpeg", *size, b"".join([*kept, scans]))


def _jpeg_marker(data: bytes, at: int) -> tuple[int, int]:
    """The marker that stands there, maybe behind filling, and where what belongs to it begins."""
    if data[at] != 0xFF:
        raise ValueError
    while data[at] == 0xFF:
        at += 1
    return data[at], at + 1


def _webp(data: bytes) -> Picture:
    (length,) = unpack_from("<I", data, 4)
    end = length + 8
    if end > len(data):
        raise ValueError
    at, size = 12, (0, 0)
    kept: list[bytes] = []
    while at + 8 <= end:
        kind, length = unpack_from("<4sI", data, at)
        body = data[at + 8 : at + 8 + length]
        if at + 8 + length > end:
            raise ValueError
        if kind in (b"ANIM", b"ANMF") or (kind == b"VP8X" and body[0] & _WEBP_ANIMATED):
            raise Invalid("vision.animated", "the picture moves; send one of its frames")
        width, height = _webp_size(kind, body)
        size = (max(size[0], width), max(size[1], height))
        if kind == b"VP8X":
            body = bytes([body[0] & _WEBP_FLAGS_KEPT]) + body[1:]
        if kind in _WEBP_KEPT:
            kept.append(data[at : at + 8] + body + b"\0" * (length % 2))
        at += 8 + length + length % 2
    if not any(chunk[:4] in (b"VP8 ", b"VP8L") for chunk in kept):
        raise ValueError
    _check_size(*size)
    content = b"WEBP" + b"".join(kept)
    return Picture("image/webp", *size, b"RIFF" + len(content).to_bytes(4, "little") + content)


def _webp_size(kind: bytes, body: bytes) -> tuple[int, int]:
    """Width and height, where this chunk says them."""
    match kind:
        case b"VP8 ":
            if body[3:6] != b"\x9d\x01\x2a":
                raise ValueError
            width, height = unpack_from("<HH", body, 6)
            return width & 0x3FFF, height & 0x3FFF
        case b"VP8L":
            if body[0] != 0x2F:
                raise ValueError
            (bits,) = unpack_from("<I", body, 1)
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case b"VP8X":
            width, height = (int.from_bytes(body[n : n + 3], "little") for n in (4, 7))
            return _whole(body, 10, width + 1), height + 1
    return 0, 0


def _whole(body: bytes, length: int, value: int) -> int:
    if len(body) < length:
        raise ValueError
    return value


def _check_size(width: int, height: int) -> None:
    if width < 1 or height < 1:
        raise ValueError
