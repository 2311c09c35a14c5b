"""What the gate came to about one candidate."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Why it is refused, in one line, empty if it passed; and its figures for the console."""

    reason: str = ""
    figures: Mapping[str, Any] = field(default_factory=dict)
