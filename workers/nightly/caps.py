"""How much of the set one customer, or one day, may be."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence, Sized
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, TypeVar

from workers.nightly.exchanges import Customer

PER_CUSTOMER_A_DAY = 3
"""As many answers of one customer's day are learnt from: a thousand messages weigh no more."""
PER_CUSTOMER = 10
"""And of one customer in the whole set, unless a share of it is more."""
SHARE_OF_CUSTOMER = 0.01
PER_DAY = 500
"""A day that brings more has something the matter with it, or has enough to teach."""

KNOWN_DAYS = 7.0
"""So long ago a customer wrote first, on `KNOWN_ON_DAYS` days at least, before their thumb counts:
whoever makes up customers to praise an answer has to keep them for a week."""
KNOWN_ON_DAYS = 2

DAY_S = 86_400.0


class Ration(StrEnum):
    """Why something was left out."""

    CUSTOMER = "enough_of_one_customer"
    DAY = "enough_of_one_day"
    NEW_CUSTOMER = "customer_not_known_for_long"


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """How long somebody has been a customer: since when, and on how many days they wrote."""

    since: float
    days: int

    def well(self, now: float) -> bool:
        """Whether their thumb counts."""
        return now - self.since >= KNOWN_DAYS * DAY_S and self.days >= KNOWN_ON_DAYS


def known(
    customers: Iterable[Customer], days: Mapping[tuple[str, str], Sized]
) -> dict[tuple[str, str], Known]:
    """How long those of a conversation each have been customers, with the days of each."""
    since: dict[tuple[str, str], float] = {}
    for customer in customers:
        who = _who(customer)
        since[who] = min(since.get(who, customer.since), customer.since)
    return {who: Known(since=since[who], days=len(found)) for who, found in days.items()}


class Said(Protocol):
    """Who said something, in which messages, and when."""

    @property
    def customer(self) -> Customer:
        """Who."""
        ...

    @property
    def messages(self) -> tuple[int, ...]:
        """Their ids."""
        ...

    @property
    def at(self) -> float:
        """In seconds since 1970."""
        ...


Told = TypeVar("Told")


def rationed(
    told: Iterable[Told], left_out: Counter[str], *, of: Callable[[Told], Said]
) -> list[Told]:
    """The newest within the limits, oldest first; `of` tells who said what each rests on."""
    found = sorted(told, key=lambda one: (of(one).at, of(one).messages), reverse=True)
    most = max(PER_CUSTOMER, int(SHARE_OF_CUSTOMER * len(found)))
    customers, days, both = Counter[object](), Counter[int](), Counter[object]()
    kept: list[Told] = []
    for one in found:
        customer, day = _who(of(one).customer), int(of(one).at // DAY_S)
        if customers[customer] >= most or both[customer, day] >= PER_CUSTOMER_A_DAY:
            left_out[Ration.CUSTOMER] += 1
        elif days[day] >= PER_DAY:
            left_out[Ration.DAY] += 1
        else:
            kept.append(one)
            customers[customer] += 1
            both[customer, day] += 1
            days[day] += 1
    return kept[::-1]


def one_each(customers: Sequence[Customer]) -> list[int]:
    """The places of those that come first of each customer."""
    seen: dict[object, int] = {}
    for at, customer in enumerate(customers):
        seen.setdefault(_who(customer), at)
    return sorted(seen.values())


def _who(customer: Customer) -> tuple[str, str]:
    return customer.channel, customer.id
