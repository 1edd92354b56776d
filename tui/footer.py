"""The line of keys at the foot of a screen: made anew only when it would say something else."""

from collections.abc import Iterable

from textual.binding import Binding
from textual.reactive import reactive
from textual.screen import Screen
from textual.widgets import Footer
from textual.widgets._footer import FooterKey

Shown = tuple[Binding, bool, str]
"""A key, whether it does something now, and what is said of it under the mouse."""


class ShownKey(FooterKey):
    """One key, styled once: the library's own is made compact, and then as the footer is."""

    compact = reactive(False)


class KeyLine(Footer):
    """What can be pressed now, one key for each thing that can be done.

    Whenever the keyboard goes elsewhere a footer is told that keys may have changed; on one screen they seldom have.
    """

    def __init__(self) -> None:
        super().__init__(show_command_palette=False)
        self._shown: list[Shown] = []

    def bindings_changed(self, screen: Screen[object]) -> None:
        """Keys may have changed."""
        shown = list(_shown(screen))
        if shown != self._shown and screen.app.app_focus and self.is_attached and screen is self.screen:
            self._shown = shown
            self.call_after_refresh(self.recompose)

    def compose(self) -> Iterable[ShownKey]:
        """As many keys as there are, also where the line is too short for them."""
        for binding, is_enabled, said in self._shown:
            display = self.app.get_key_display(binding)
            yield ShownKey(
                binding.key, display, binding.description, binding.action, disabled=not is_enabled, tooltip=said
            )


def _shown(screen: Screen[object]) -> Iterable[Shown]:
    actions: set[str] = set()
    for _, binding, is_enabled, said in screen.active_bindings.values():
        if binding.show and binding.action not in actions:
            actions.add(binding.action)
            yield binding, is_enabled, said
