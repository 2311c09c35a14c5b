"""What staff read where something was refused."""

from collections.abc import Mapping
from dataclasses import dataclass

from starlette.exceptions import HTTPException

from bots.web.console.visit import Visit
from bots.web.console.wording import _

_SENTENCES: Mapping[str, str] = {
    "role": _("Your role does not allow this."),
    "csrf": _("This page was open for too long. Please go back, reload it and try again."),
    "other_site": _("This was sent from another site, so it was not done."),
    "link_spent": _("This link was used already or has expired. Please ask for a new one."),
    "malformed": _("Something in this form cannot be right. Please check it."),
    "signed_out": _("You are signed out."),
    "unavailable": _("This did not work. Please try again."),
    "too_large": _("This is too large to be taken."),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """A sentence in the visitor's language; `detail` is what a rule of ours says of it."""

    sentence: str
    detail: str = ""


def explained(visit: Visit, refusal: HTTPException) -> Explained:
    """The same words on a page of their own and for the script of a page that stays open."""
    if refusal.detail in _SENTENCES:
        return Explained(sentence=visit.say(_SENTENCES[refusal.detail]))
    if refusal.status_code == 404:
        return Explained(sentence=visit.say(_("This is not here.")))
    detail = refusal.detail if refusal.status_code == 422 else ""
    return Explained(sentence=visit.say(_("This could not be done.")), detail=detail)
