"""Licences by their SPDX ids, and which of them let a trained model be passed on freely."""

import re

OWN = "LicenseRef-own"
"""What the operator's own customers, agents and articles say."""

PERMISSIVE = frozenset({
    OWN, "0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CC-BY-3.0", "CC-BY-4.0", "CC0-1.0",
    "ISC", "MIT", "MIT-0", "PDDL-1.0", "Unlicense", "Zlib",
})  # fmt: skip
"""What asks for attribution at most. Share-alike (CC BY-SA, CDLA-Sharing) is not among it."""

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*")
_CREATIVE_COMMONS = re.compile(r"CC[ -](BY(?:-(?:SA|NC|ND))*)[ -]([0-9.]+)")
_BSD = re.compile(r"BSD \(2/3-clause\)|BSD")


def spdx(name: str) -> str:
    """The SPDX expression for a licence as people write it; an unknown one comes back as it is."""
    found = _CREATIVE_COMMONS.match(name)
    if found:
        return f"CC-{found[1]}-{found[2]}"
    if _BSD.fullmatch(name):
        return "BSD-2-Clause OR BSD-3-Clause"
    if re.search(" or ", name, re.IGNORECASE):
        return " OR ".join(spdx(one) for one in re.split(" or ", name, flags=re.IGNORECASE))
    first = _ID.match(name)
    return first[0] if first and first[0] in PERMISSIVE else name


def is_permissive(licence: str) -> bool:
    """Whether one of the alternatives of an SPDX expression is permissive."""
    return any(one.strip("() ") in PERMISSIVE for one in licence.split(" OR "))
