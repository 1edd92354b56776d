"""What a picture is by its own bytes, and what is left of it."""

from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.agents.pictures import MAX_PIXELS, read_picture
from runtime.errors import Invalid
from tests.runtime.agents.picture_samples import (
    JPEG,
    LOSSLESS,
    PNG,
    WEBP,
    jpeg_with,
    png_chunk,
    png_of,
    png_with,
    webp_with,
)

SAMPLES = {"image/png": [PNG], "image/jpeg": [JPEG], "image/webp": [WEBP, LOSSLESS]}
EACH = [(kind, data) for kind, samples in SAMPLES.items() for data in samples]


@pytest.mark.parametrize(("kind", "data"), EACH)
def test_kind_and_size_are_those_of_the_bytes(kind: str, data: bytes) -> None:
    picture = read_picture(data)
    assert (kind, 5, 3, data) == (picture.media_type, picture.width, picture.height, picture.data)


@pytest.mark.parametrize(
    ("data", "bare"),
    [
        (png_with(b"tEXt", b"Author\0Anna"), PNG),
        (png_with(b"eXIf", b"II*\0 52.5 N 13.4 E"), PNG),
        (png_with(b"iCCP", b"packed"), PNG),
        (jpeg_with(0xE1, b"Exif\0\0 52.5 N 13.4 E"), JPEG),
        (jpeg_with(0xFE, b"made by Anna"), JPEG),
        (jpeg_with(0xE2, b"ICC_PROFILE"), JPEG),
        (webp_with(b"EXIF", b"52.5 N 13.4 E!"), WEBP),
        (webp_with(b"XMP ", b"<x>Anna</x>"), WEBP),
        *((data + b"PK\3\4 and a zip behind it", data) for _, data in EACH),
    ],
)
def test_what_a_picture_says_beside_itself_is_left_out(data: bytes, bare: bytes) -> None:
    """Where and by whom it was taken is nobody's business who is to say what it shows."""
    assert bare == read_picture(data).data
    assert data == read_picture(data, keeps_metadata=True).data


@pytest.mark.parametrize(("width", "height"), [(100_000, 100_000), (2**31 - 1, 1), (MAX_PIXELS // 5 + 1, 5)])
def test_a_picture_that_unfolds_too_far_is_refused_by_its_head(width: int, height: int) -> None:
    """A hundred bytes may ask for forty gigabytes."""
    with pytest.raises(Invalid, match="pixels") as caught:
        read_picture(png_of(width, height))
    assert "vision.too_many_pixels" == caught.value.code


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "vision.unknown_format"),
        (b"GIF89a\5\0\3\0", "vision.unknown_format"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "vision.unknown_format"),
        (b"%PDF-1.7", "vision.unknown_format"),
        (PNG[:-1], "vision.damaged"),
        (PNG[:8] + png_chunk(b"IEND", b""), "vision.damaged"),
        (png_of(0, 3), "vision.damaged"),
        (JPEG[:-2], "vision.damaged"),
        (JPEG[:20], "vision.damaged"),
        (JPEG[:-2] + b"\xff\xc0\0\x11\x08\xff\xff\xff\xff" + JPEG[-2:], "vision.damaged"),
        (WEBP[:40], "vision.damaged"),
        (b"RIFF" + pack("<I", 4) + b"WEBP", "vision.damaged"),
        (webp_with(b"ANIM", b"\0" * 6), "vision.animated"),
    ],
)
def test_anything_but_one_whole_picture_is_refused(data: bytes, code: str) -> None:
    with pytest.raises(Invalid) as caught:
        read_picture(data)
    assert code == caught.value.code


def test_size_has_a_bound() -> None:
    with pytest.raises(Invalid, match="too_large"):
        read_picture(PNG, max_bytes=len(PNG) - 1)


@given(st.sampled_from(EACH), st.data())
def test_whatever_becomes_of_its_bytes_there_is_a_picture_or_a_refusal(
    sample: tuple[str, bytes], data: st.DataObject
) -> None:
    """And what is left reads as itself again."""
    _, picture = sample
    at = data.draw(st.integers(0, len(picture) - 1))
    changed = picture[:at] + data.draw(st.binary(max_size=8)) + picture[at + data.draw(st.integers(0, 8)) :]
    try:
        found = read_picture(changed)
    except Invalid:
        return
    assert 0 < found.width * found.height <= MAX_PIXELS
    assert found == read_picture(found.data)
