"""Render a chat by the template that a model brings with it, so that no message can pretend to be another one.

Templates are foreign code: they run in Jinja's sandbox, inside the model's worker. They are given no clock, so that
equal messages always make an equal prompt.
"""

import re
from collections.abc import Iterable, Sequence
from typing import NoReturn

from jinja2 import TemplateError, TemplateSyntaxError, nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from runtime.errors import Invalid

_ROUNDS = 16


class ChatTemplate:
    """A model's chat template, compiled, with the control tokens that messages may not contain."""

    def __init__(self, source: str, *, bos: str, eos: str, control_tokens: Iterable[str]) -> None:
        environment = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=[_GenerationTag, loopcontrols]
        )
        try:
            self._template = environment.from_string(source)
        except TemplateSyntaxError as error:
            raise Invalid(
                "model.bad_template", f"the model's chat template does not compile: {error.message}"
            ) from None
        self._bos, self._eos = bos, eos
        self._control = _either(control_tokens)

    def render(self, messages: Sequence[tuple[str, str]]) -> str:
        """The prompt of (role, content) pairs, up to where the assistant's turn begins.

        Control tokens inside a content are broken up by a space (`<|im_end|>` → `< |im_end|>`): they stay readable and
        mean nothing to the model. Raises Invalid when the template refuses the messages.
        """
        try:
            return self._template.render(
                messages=[{"role": role, "content": self.defused(content)} for role, content in messages],
                bos_token=self._bos,
                eos_token=self._eos,
                add_generation_prompt=True,
                raise_exception=_refuse,
            )
        except TemplateError as error:
            raise Invalid(
                "model.template_refused", f"the model's chat template refuses the messages: {error}"
            ) from None

    def defused(self, text: str) -> str:
        """`text` with every control token in it broken up. Raises Invalid when that does not come to an end."""
        if self._control is None:
            return text
        for _ in range(_ROUNDS):
            if not self._control.search(text):
                return text
            text = self._control.sub(lambda found: f"{found[0][0]} {found[0][1:]}", text)
        raise Invalid("model.control_tokens", "a message consists of control tokens that can't be told apart from text")


class _GenerationTag(Extension):
    """`{% generation %}`, which some templates use to mark what to train on; it changes nothing here."""

    tags = {"generation"}  # noqa: RUF012  # Jinja's own interface

    def parse(self, parser: Parser) -> list[nodes.Node]:
        parser.stream.skip(1)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def _either(tokens: Iterable[str]) -> re.Pattern[str] | None:
    longest_first = sorted((token for token in tokens if len(token) > 1 and not token.isspace()), key=len, reverse=True)
    return re.compile("|".join(map(re.escape, longest_first))) if longest_first else None


def _refuse(message: str) -> NoReturn:
    raise TemplateError(message)
