"""Every route of the console with the role it takes: the one table there is.

No route exists without a row here, and a row without a role cannot be written.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final

from starlette.convertors import IntegerConvertor, register_url_convertor
from starlette.responses import Response

from bots.web.console.pages import (
    channels,
    conversation,
    glossary,
    inbox,
    knowledge,
    models,
    nowhere,
    people,
    profile,
    proposals,
    questions,
    replies,
    settings,
    signing_in,
    statistics,
    trial,
)
from bots.web.console.visit import Visit
from core.staff import Role

Handler = Callable[[Visit], Awaitable[Response]]


class Anyone(Enum):
    """Who is not signed in may come through, too."""

    ANYONE = "anyone"


ANYONE: Final = Anyone.ANYONE
ADMIN, AGENT, VIEWER = Role.ADMIN, Role.AGENT, Role.VIEWER


class _Row(IntegerConvertor):
    """The number of a row; a larger one than a database counts to is no address of ours."""

    regex = "[0-9]{1,18}"


# Starlette knows the kinds of a path's parts by name, in one place for the whole process.
register_url_convertor("row", _Row())


@dataclass(frozen=True, slots=True)
class Door:
    """One method of one path; `takes` is the least role."""

    method: str
    path: str
    takes: Role | Anyone
    handler: Handler


DOORS: tuple[Door, ...] = (
    Door("GET", "/desk/sign-in", ANYONE, signing_in.page),
    Door("POST", "/desk/sign-in", ANYONE, signing_in.sign_in),
    Door("POST", "/desk/sign-out", VIEWER, signing_in.sign_out),
    Door("GET", "/desk/join/{token}", ANYONE, signing_in.invited),
    Door("POST", "/desk/join/{token}", ANYONE, signing_in.join),
    Door("GET", "/desk/provider", ANYONE, signing_in.to_provider),
    Door("GET", "/desk/provider/back", ANYONE, signing_in.from_provider),
    Door("GET", "/desk", VIEWER, inbox.page),
    Door("GET", "/desk/news", VIEWER, inbox.news),
    Door("GET", "/desk/conversations/{id:row}", VIEWER, conversation.page),
    # Where a post was answered with its page, the address stays in the browser.
    Door("GET", "/desk/conversations/{id:row}/{act}", VIEWER, conversation.page),
    Door("POST", "/desk/conversations/{id:row}/say", AGENT, conversation.say),
    Door("POST", "/desk/conversations/{id:row}/edit", AGENT, conversation.edit),
    Door("POST", "/desk/conversations/{id:row}/discard", AGENT, conversation.discard),
    Door("POST", "/desk/conversations/{id:row}/alive", AGENT, conversation.alive),
    Door("POST", "/desk/conversations/{id:row}/{act}", AGENT, conversation.act),
    Door("GET", "/desk/questions", VIEWER, questions.page),
    Door("POST", "/desk/questions/settle", ADMIN, questions.settle),
    Door("GET", "/desk/proposals", VIEWER, proposals.page),
    Door("GET", "/desk/proposals/{id:row}/approve", VIEWER, proposals.page),
    Door("POST", "/desk/proposals/{id:row}/approve", ADMIN, proposals.approve),
    Door("POST", "/desk/proposals/{id:row}/decline", ADMIN, proposals.decline),
    Door("GET", "/desk/statistics", VIEWER, statistics.page),
    Door("GET", "/desk/profile", VIEWER, profile.page),
    Door("POST", "/desk/profile", VIEWER, profile.save),
    Door("GET", "/desk/profile/password", VIEWER, profile.page),
    Door("POST", "/desk/profile/password", VIEWER, profile.change_password),
    Door("GET", "/desk/knowledge", VIEWER, knowledge.listing),
    Door("GET", "/desk/knowledge/article", VIEWER, knowledge.article),
    Door("GET", "/desk/knowledge/write", ADMIN, knowledge.editor),
    Door("POST", "/desk/knowledge/write", ADMIN, knowledge.save),
    Door("POST", "/desk/knowledge/preview", ADMIN, knowledge.preview),
    Door("GET", "/desk/knowledge/file", VIEWER, knowledge.listing),
    Door("POST", "/desk/knowledge/file", ADMIN, knowledge.add_file),
    Door("GET", "/desk/knowledge/page", VIEWER, knowledge.listing),
    Door("POST", "/desk/knowledge/page", ADMIN, knowledge.add_page),
    Door("POST", "/desk/knowledge/remove", ADMIN, knowledge.remove),
    Door("POST", "/desk/knowledge/reindex", ADMIN, knowledge.reindex),
    Door("GET", "/desk/try", VIEWER, trial.page),
    Door("POST", "/desk/try", VIEWER, trial.ask),
    Door("GET", "/desk/glossary", VIEWER, glossary.page),
    Door("POST", "/desk/glossary", ADMIN, glossary.save),
    Door("POST", "/desk/glossary/remove", ADMIN, glossary.remove),
    Door("GET", "/desk/replies", VIEWER, replies.page),
    Door("POST", "/desk/replies", AGENT, replies.save),
    Door("POST", "/desk/replies/remove", AGENT, replies.remove),
    Door("GET", "/desk/settings", ADMIN, settings.page),
    Door("POST", "/desk/settings", ADMIN, settings.save),
    Door("GET", "/desk/models", VIEWER, models.page),
    Door("GET", "/desk/models/{slot}/report/{kind}", VIEWER, models.report),
    Door("GET", "/desk/models/{slot}/curves/{kind}", VIEWER, models.curves),
    Door("POST", "/desk/models/promote", ADMIN, models.promote),
    Door("POST", "/desk/models/refuse", ADMIN, models.refuse),
    Door("POST", "/desk/models/rollback", ADMIN, models.roll_back),
    Door("GET", "/desk/channels", VIEWER, channels.page),
    Door("GET", "/desk/people", ADMIN, people.page),
    Door("GET", "/desk/people/invite", ADMIN, people.page),
    Door("POST", "/desk/people/invite", ADMIN, people.invite),
    Door("GET", "/desk/people/{id:row}/{what}", ADMIN, people.page),
    Door("POST", "/desk/people/{id:row}/role", ADMIN, people.change_role),
    Door("POST", "/desk/people/{id:row}/access", ADMIN, people.change_access),
    Door("POST", "/desk/people/{id:row}/link", ADMIN, people.link),
    Door("POST", "/desk/people/withdraw", ADMIN, people.withdraw),
    Door("GET", "/desk/{rest:path}", VIEWER, nowhere.page),
    Door("POST", "/desk/{rest:path}", VIEWER, nowhere.page),
)

# Everything else fits into what the server takes anyhow; a file comes with a few fields around it.
# What an article may have fits as well, but what a file has brought may come back from the editor,
# and is to be told that it is too long there.
_FILE_BYTES = knowledge.MAX_FILE_BYTES + 100_000
LARGER_BODIES = {"/desk/knowledge/file": _FILE_BYTES, "/desk/knowledge/write": _FILE_BYTES}
