"""What every sandbox refuses before it starts anything."""

from collections.abc import Collection, Mapping

from runtime.domain.exec_profile import ExecProfile, Guarantee
from runtime.errors import Refused


def check(
    driver: str,
    profile: ExecProfile,
    missing: Collection[Guarantee],
    *,
    stdin: bytes,
    secrets: Mapping[str, str],
    egress: object,
) -> None:
    """Raise Refused for a profile that is not held, or that this call goes beyond."""
    if missing:
        raise Refused("sandbox.not_held", f"{driver} cannot hold {', '.join(sorted(missing))} of this profile")
    if len(stdin) > profile.stdin_max_bytes:
        raise Refused("sandbox.stdin_too_long", f"{len(stdin)} bytes of input; {profile.stdin_max_bytes} may be")
    if (profile.network == "egress_door") != (egress is not None):
        raise Refused(
            "sandbox.door_differs",
            f"the profile of {profile.tool!r} says {profile.network}, and the call opens "
            f"{'a' if egress is not None else 'no'} door; open one for a profile with hosts, and for no other",
        )
    if set(secrets) != set(profile.secrets):
        odd = ", ".join(sorted(set(secrets) ^ set(profile.secrets)))
        raise Refused(
            "sandbox.secrets_differ",
            f"the profile of {profile.tool!r} names other secrets than the call hands over: {odd}; give a program "
            "exactly those of its profile",
        )
