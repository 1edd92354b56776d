"""What is done with what is found: policies as data, and the four that come with the program. Pure."""

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Literal, get_args

import msgspec

from redaction.findings import ENTITIES, Group

Action = Literal["allow", "mask", "replace", "hash", "pseudonymise", "drop", "block"]
ACTIONS: tuple[Action, ...] = get_args(Action)
GROUPS: tuple[Group, ...] = get_args(Group)


class Actions(msgspec.Struct, frozen=True, kw_only=True):
    """Actions by entity, else by the entity's group."""

    entities: dict[str, Action] = {}
    groups: dict[str, Action] = {}

    def of(self, entity: str) -> Action | None:
        """The action for an entity; None when nothing is said about it."""
        return self.entities.get(entity) or self.groups.get(ENTITIES[entity])


class RedactionPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """What is done with each entity at each destination."""

    name: str
    actions: Actions
    destinations: dict[str, Actions] = {}
    """By destination, such as `log` or `cloud:*`; the first pattern that fits and says something wins."""
    otherwise: Action = "block"
    """For an entity of which nothing is said."""
    min_score: float = 0.5
    """Finds below are left alone; 0 to 1."""
    names: bool = False
    """Whether a language model looks for names and places; patterns alone find those with a key or a label."""

    def action(self, entity: str, destination: str = "") -> Action:
        """What is done with an entity that would go to a destination."""
        for pattern, actions in self.destinations.items():
            if destination and fnmatchcase(destination, pattern):
                found = actions.of(entity)
                if found is not None:
                    return found
        return self.actions.of(entity) or self.otherwise

    def patterns_only(self) -> "RedactionPolicy":
        """The same without the language model."""
        return msgspec.structs.replace(self, names=False)


def _preset(name: str, groups: Mapping[str, Action], otherwise: Action, *, names: bool = True) -> RedactionPolicy:
    return RedactionPolicy(name=name, actions=Actions(groups=dict(groups)), otherwise=otherwise, names=names)


PRESETS: dict[str, RedactionPolicy] = {
    policy.name: policy
    for policy in (
        _preset("default", {"secret": "replace", "network": "pseudonymise", "opaque": "block"}, "pseudonymise"),
        _preset("strict", {"secret": "block", "opaque": "block"}, "replace"),
        _preset("phi", {"secret": "block", "opaque": "block", "financial": "replace"}, "pseudonymise"),
        _preset("secrets-only", {"secret": "replace"}, "allow", names=False),
    )
}
"""`default`: people and numbers get pseudonyms, secrets go. `strict`: nothing comes back, and a secret stops it all.
`phi`: as default, for health data: a secret stops it all. `secrets-only`: nothing but secrets is touched, and no model
looks for names."""
