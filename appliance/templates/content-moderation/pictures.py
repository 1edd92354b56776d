"""The tools of the image analyser, without a model: what the colours of a PNG say.

A share of skin, a share of blood red: crude, and meant to send a picture to a person, never to clear one for good. A
site that has a model for pictures uses that; workflow.yaml says where.
"""

import base64
import struct
import zlib

import agentflow

SIGNATURE = b"\x89PNG\r\n\x1a\n"
CHANNELS = {0: 1, 2: 3, 4: 2, 6: 4}
MOST_PIXELS = 4_000_000


class BadPicture(ValueError):
    """The text of an error that has a `code` is shown."""

    code = "moderation.bad_picture"


@agentflow.tool(idempotent=True)
def nsfw_detector(image: str) -> dict:
    """Say which share of a picture has the colour of skin."""
    pixels = decoded(image)
    skin = sum(is_skin(*pixel) for pixel in pixels)
    return {"nsfw_score": round(skin / len(pixels), 4)}


@agentflow.tool(idempotent=True)
def violence_detector(image: str) -> dict:
    """Say which share of a picture is as red as blood."""
    pixels = decoded(image)
    red = sum(each[0] > 110 and each[1] < 50 and each[2] < 60 for each in pixels)
    return {"violence_score": round(red / len(pixels), 4)}


def is_skin(red: int, green: int, blue: int) -> bool:
    """Kovač, Peer, Solina: Human skin color clustering for face detection, 2003 (daylight)."""
    spread = max(red, green, blue) - min(red, green, blue)
    return red > 95 and green > 40 and blue > 20 and spread > 15 and abs(red - green) > 15 and red > green > blue


def decoded(image: str) -> list[tuple[int, int, int]]:
    """The pixels of a PNG in Base64, of eight bits a channel, not interlaced. Raises BadPicture."""
    try:
        data = base64.b64decode(image, validate=True)
        if not data.startswith(SIGNATURE):
            raise BadPicture("the picture is no PNG")
        parts = list(chunks(data))
        width, height, depth, colours, _, _, interlaced = struct.unpack(">IIBBBBB", parts[0][1])
        if depth != 8 or colours not in CHANNELS or interlaced or not 0 < width * height <= MOST_PIXELS:
            raise BadPicture(f"a PNG of 8 bits a channel, without a palette, of up to {MOST_PIXELS:,} pixels is read")
        channels = CHANNELS[colours]
        most = height * (width * channels + 1)
        raw = zlib.decompressobj().decompress(b"".join(body for kind, body in parts if kind == b"IDAT"), most)
        rows = unfiltered(raw, width * channels, height, channels)
    except (ValueError, struct.error, zlib.error, IndexError) as error:
        raise BadPicture(str(error) if isinstance(error, BadPicture) else "the picture cannot be read") from None
    points = [row[at : at + channels] for row in rows for at in range(0, len(row), channels)]
    return [(each[0], each[1], each[2]) if channels > 2 else (each[0],) * 3 for each in points]


def chunks(data: bytes):
    """Kind and body of each chunk."""
    at = len(SIGNATURE)
    while at + 8 <= len(data):
        size, kind = struct.unpack(">I4s", data[at : at + 8])
        yield kind, data[at + 8 : at + 8 + size]
        at += size + 12


def unfiltered(raw: bytes, width: int, height: int, step: int) -> list[bytes]:
    """The rows with PNG's filters undone (W3C, PNG third edition, section 9)."""
    before, rows = bytes(width), []
    for number in range(height):
        kind, *line = raw[number * (width + 1) : (number + 1) * (width + 1)]
        row = bytearray(line)
        for at in range(width):
            left = row[at - step] if at >= step else 0
            corner = before[at - step] if at >= step else 0
            row[at] = (
                row[at] + (0, left, before[at], (left + before[at]) // 2, paeth(left, before[at], corner))[kind]
            ) % 256
        rows.append(bytes(row))
        before = rows[-1]
    return rows


def paeth(left: int, above: int, corner: int) -> int:
    """Whichever of the three is nearest to left + above - corner."""
    guess = left + above - corner
    return min((left, above, corner), key=lambda each: abs(guess - each))
