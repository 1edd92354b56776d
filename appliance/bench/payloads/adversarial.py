"""All payloads that hide a value."""

from appliance.bench.payloads.channels import channels
from appliance.bench.payloads.disguised import disguised
from appliance.bench.payloads.forms import forms
from appliance.bench.payloads.hostile import Hostile

KINDS = ("unicode", "encoding", "obfuscation", "split", "channel", "json", "case", "secret", "policy", "format")


def adversarial() -> list[Hostile]:
    """Every case of the ten kinds."""
    return sorted([*disguised(), *channels(), *forms()], key=lambda case: KINDS.index(case.kind))
