"""The child program that holds the language model: reads texts from standard input, writes places to standard output.

It is started by redaction.names.process with the parent's import path, so it runs the same in a checkout and from the
single file. It ends when its standard input closes or its parent is gone.
It must never write anything but answers to standard output, nor open a connection.
"""

import gc
import os
import resource
import select
import sys
import traceback
from typing import BinaryIO

import msgspec

from redaction.names.wire import Ask, Said

LOOK_FOR_PARENT_S = 5
GARBAGE = 20_000
"""Objects that may wait for the collector; a question makes some thousands."""


def main(parent: int) -> None:
    """Load the model, then serve until there is nobody to serve."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    answers = _take_standard_output()
    gc.disable()  # what is imported stays: to look for garbage in it takes a tenth of the start
    try:
        # half a second to import, and only here
        from redaction.names.model import NameModel

        model = NameModel()
        model.load()
    except Exception as error:  # the edge of the worker: it says why it cannot serve, and ends
        _say(answers, Said(0, failure=_kind(error)))
        return
    gc.freeze()  # the model lives as long as the worker: to look through it again and again was a tenth of all work
    gc.set_threshold(GARBAGE)
    gc.enable()
    _say(answers, Said(0))
    decode = msgspec.json.Decoder(Ask).decode
    while _is_asked(parent) and (line := sys.stdin.buffer.readline()):
        ask = decode(line)
        try:
            _say(answers, Said(ask.id, tuple(map(tuple, model.find(ask.texts)))))
        except Exception as error:  # the edge of the worker: the host decides, and lets nothing pass
            _say(answers, Said(ask.id, failure=_kind(error)))


def _is_asked(parent: int) -> bool:
    """Wait for a line or the end of the input; False when the parent has gone and somebody else holds the pipe open."""
    while not select.select([sys.stdin.buffer], [], [], LOOK_FOR_PARENT_S)[0]:
        if os.getppid() != parent:
            return False
    return True


def _take_standard_output() -> BinaryIO:
    """Keep the answers' pipe to ourselves; whatever else prints goes to standard error."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return answers


def _say(answers: BinaryIO, said: Said) -> None:
    answers.write(msgspec.json.encode(said) + b"\n")
    answers.flush()


def _kind(error: Exception) -> str:
    frame = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{type(error).__name__} in {os.path.basename(frame.filename)}:{frame.lineno}"
    # what we raise ourselves, and what the import system says, holds nothing that was looked through
    return f"{place}: {error}" if isinstance(error, ImportError) or frame.filename == _model_file() else place


def _model_file() -> str:
    return os.path.join(os.path.dirname(__file__), "model.py")
