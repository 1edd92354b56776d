"""Turn a model's token bytes into text: whole characters only, ended by stop texts, never showing a part of one."""

import codecs
from collections.abc import Sequence


class TextStream:
    """Collects the bytes of one answer. The pieces that `add` and `close` return make up `text`."""

    def __init__(self, stop: Sequence[str] = ()) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._stop = tuple(text for text in stop if text)
        self._held = ""
        self._pieces: list[str] = []
        self.is_stopped = False
        """Whether a stop text has come; what follows it is dropped."""

    @property
    def text(self) -> str:
        """Everything returned so far."""
        return "".join(self._pieces)

    def add(self, token: bytes) -> str:
        """Take the next token's bytes; return the text that is certain now, maybe empty."""
        return self._release(self._decoder.decode(token))

    def close(self) -> str:
        """The answer is over: return what was held back. An unfinished character becomes U+FFFD."""
        last = self._release(self._decoder.decode(b"", final=True))
        held, self._held = self._held, ""
        if held:
            self._pieces.append(held)
        return last + held

    def _release(self, text: str) -> str:
        if self.is_stopped:
            return ""
        self._held += text
        places = [place for place in (self._held.find(stop) for stop in self._stop) if place >= 0]
        if places:
            self.is_stopped = True
            sure, self._held = self._held[: min(places)], ""
        else:
            keep = self._maybe_stop_length()
            sure, self._held = self._held[: len(self._held) - keep], self._held[len(self._held) - keep :]
        if sure:
            self._pieces.append(sure)
        return sure

    def _maybe_stop_length(self) -> int:
        """How many of the last held characters may be the beginning of a stop text."""
        return max(
            (
                length
                for stop in self._stop
                for length in range(1, min(len(stop), len(self._held) + 1))
                if self._held.endswith(stop[:length])
            ),
            default=0,
        )
