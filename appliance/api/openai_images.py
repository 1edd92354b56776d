"""Pictures in a chat request: those that the request itself holds. Nothing is fetched from anywhere."""

import binascii
import re
from base64 import b64decode

from appliance.api.openai_errors import unsupported
from runtime.domain.chat import Image

_HEAD = re.compile(r"data:(image/[a-z0-9.+-]{1,40});base64,", re.IGNORECASE)
_KINDS = "send it inside the request, as data:image/png;base64,…"


def image_of(url: str) -> Image:
    """The picture of a data URI. Raises Invalid for any other address, and for what is no base64."""
    head = _HEAD.match(url)
    if head is None:
        raise unsupported("messages", f"a picture that stands elsewhere: nothing is fetched here; {_KINDS}")
    try:
        data = b64decode(url[head.end() :], validate=True)
    except (binascii.Error, ValueError):
        data = b""
    if not data:
        raise unsupported("messages", f"a picture whose data are no base64; {_KINDS}")
    return Image(head[1].lower(), data)
