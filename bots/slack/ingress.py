"""What is done with each thing that Slack reports."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any, Protocol

import structlog
from slack_bolt.context.ack.async_ack import AsyncAck

from bots.slack import inbound, press
from bots.slack.api import asked
from bots.slack.desk.desk import SlackDesk
from bots.slack.desk.home import welcome
from bots.slack.desk.presses import FIELD
from bots.slack.files import described
from bots.slack.inbound import Heard
from bots.slack.place import Place
from bots.slack.port import SlackPort, Spawn
from bots.slack.press import Verdict
from bots.slack.profiles import Profiles
from bots.slack.teams import Team
from core.errors import Rejected, Unavailable
from core.phrases import Phrase, say
from core.turn import Address, Inbound, Kind

# Slack waits 3 s in all for the acknowledgement.
ASK_S = 1.0
PROMPTS = (Phrase.PROMPT_RETURN, Phrase.PROMPT_ORDER, Phrase.PROMPT_PAYMENT)

log = structlog.get_logger()

Accept = Callable[[Inbound], Awaitable[bool]]


class Known(Protocol):
    """Whether a conversation exists, and since `before` or longer, in seconds by Slack's clock."""

    def __call__(self, address: Address, *, before: float | None = None) -> Awaitable[bool]:
        """Look it up."""
        ...


class AnswersAgent(Protocol):
    """Whether what hangs on the message `root` of a conversation is for the people who have it.

    `said` is the message that does: an edit of what was taken for theirs is theirs as well.
    """

    def __call__(self, address: Address, *, root: str, said: str) -> Awaitable[bool]:
        """Look it up."""
        ...


class Rate(Protocol):
    """Keeps a customer's verdict; False if the turn is not of that conversation."""

    def __call__(self, address: Address, turn: int, *, helpful: bool) -> Awaitable[bool]:
        """Keep it."""
        ...


class Ingress:
    """Hands what customers do to `accept`; when a method returns, it is committed.

    The methods are listeners: bolt passes the arguments that they name. Each raises Unavailable
    if it could not commit.
    """

    def __init__(
        self,
        *,
        port: SlackPort,
        accept: Accept,
        rate: Rate,
        known: Known,
        answers_agent: AnswersAgent,
        default_language: str,
        spawn: Spawn,
        profiles: Profiles,
        desk: SlackDesk | None = None,
    ) -> None:
        """Let `known` tell whether a conversation exists already; agents write on the `desk`."""
        self._port = port
        self._accept = accept
        self._rate = rate
        self._known = known
        self._answers_agent = answers_agent
        self._default_language = default_language
        self._spawn = spawn
        self._desk = desk
        self._profiles = profiles

    async def message(self, team: Team, event: Mapping[str, Any]) -> bool:
        """Take what was said, new or read back; True if it was news."""
        if self._desk is not None and self._desk.is_at(team, event.get("channel")):
            return await self._desk.staff.message(team, event)
        heard = inbound.heard(event, team.me)
        if heard is None or heard.fewer_files or not await self._invited(heard):
            return False
        said = await self._in_its_place(heard)
        if said.message_ref is not None:
            self._port.heard(said.address, said.message_ref)
        said = await self._completed(team, heard, said)
        if said.text or said.kind is Kind.MESSAGE:
            hint, text = await asyncio.gather(
                self._profiles.language(team, said.customer),
                self._profiles.legible(team, said.text),
            )
            said = replace(said, language_hint=hint, text=text)
        return await self._take(said)

    async def pressed(self, team: Team, body: Mapping[str, Any], ack: AsyncAck) -> None:
        """Take a pressed button."""
        if self._desk is not None and press.is_desks(body):
            await self._desk.presses.pressed(team, body)
            await ack()
            return
        wish = press.pressed(body, team.me)
        if wish is None:
            log.info("slack_interaction_ignored")
        elif isinstance(wish, Verdict):
            if await self._rate(wish.address, wish.turn, helpful=wish.helpful):
                self._spawn(_thank(team, wish))
        else:
            await self._take(wish)
        await ack()

    async def submitted(self, team: Team, body: Mapping[str, Any], ack: AsyncAck) -> None:
        """Take a modal that was sent off; it stays open, with its text, if that was not sent."""
        refused = await self._desk.presses.submitted(team, body) if self._desk is not None else ""
        if refused:
            await ack(response_action="errors", errors={FIELD: refused})
        else:
            await ack()

    async def opened(self, team: Team, event: Mapping[str, Any]) -> None:
        """Greet somebody who has opened the chat."""
        if event.get("tab") == "messages":
            self._spawn(self._suggest(team, event))
        elif event.get("tab") == "home":
            self._spawn(self._show_home(team, event))

    async def _invited(self, heard: Heard) -> bool:
        """False also of what stood in a thread when we were called there, and is read back."""
        said = heard.inbound
        return not heard.uninvited or await self._known(said.address, before=said.sent_at)

    async def _in_its_place(self, heard: Heard) -> Inbound:
        """What was said; a new thread below an agent's words is no conversation of its own."""
        said = heard.inbound
        place = Place.parse(said.address.place)
        if not heard.direct or place.thread is None or await self._known(said.address):
            return said
        whole = replace(said.address, place=place.channel)
        answers = await self._answers_agent(whole, root=place.thread, said=said.message_ref or "")
        return replace(said, address=whole) if answers else said

    async def _completed(self, team: Team, heard: Heard, said: Inbound) -> Inbound:
        """What was said, with what Slack tells only if it is asked, and answers at once."""
        try:
            async with asyncio.timeout(ASK_S):
                if await self._points_up(heard):
                    said = await _as_asked_above(team, said)
                if all(file.name for file in said.attachments):
                    return said
                files = [f if f.name else await described(team, f) for f in said.attachments]
                return replace(said, attachments=tuple(files))
        except (Unavailable, Rejected, TimeoutError) as error:
            log.info("slack_message_not_completed", error=str(error))
            return said

    async def _points_up(self, heard: Heard) -> bool:
        """Whether we were called into a thread without a word: the question stands above."""
        said = heard.inbound
        if heard.uninvited or heard.direct or said.kind is not Kind.MESSAGE:
            return False
        if said.text or said.attachments:
            return False
        is_reply = Place.parse(said.address.place).thread != said.message_ref
        return is_reply and not await self._known(said.address)

    async def _take(self, said: Inbound) -> bool:
        try:
            return await self._accept(said)
        except Rejected as error:
            # Slack would send it again and again, and it would never do.
            log.warning("slack_event_ignored", why=str(error))
            return False

    async def _suggest(self, team: Team, event: Mapping[str, Any]) -> None:
        """Offer questions to somebody who has opened the chat, in the language of their Slack."""
        channel, user = event.get("channel"), event.get("user")
        if not isinstance(channel, str) or not isinstance(user, str):
            return
        language = await self._profiles.language(team, user) or self._default_language
        prompts = [say(phrase, language) for phrase in PROMPTS]
        try:
            await asked(
                team.client.assistant_threads_setSuggestedPrompts(
                    channel_id=channel,
                    title=say(Phrase.GREETING, language),
                    prompts=[{"title": prompt, "message": prompt} for prompt in prompts],
                )
            )
        except (Unavailable, Rejected, TimeoutError) as error:
            log.info("slack_prompts_not_shown", error=str(error))

    async def _show_home(self, team: Team, event: Mapping[str, Any]) -> None:
        """Show an agent what waits, and anybody else what we are."""
        user = event.get("user")
        if not isinstance(user, str):
            return
        try:
            desk = self._desk if self._desk is not None and self._desk.serves(team) else None
            if desk is not None and await desk.homes.opened(team, user):
                return
            language = await self._profiles.language(team, user) or self._default_language
            await asked(team.client.views_publish(user_id=user, view=welcome(language)))
        except (Unavailable, Rejected, TimeoutError) as error:
            log.info("slack_home_not_shown", error=str(error))


async def _as_asked_above(team: Team, said: Inbound) -> Inbound:
    """A call with what its thread begins with, if a person wrote that."""
    place = Place.parse(said.address.place)
    page = await asked(
        team.client.conversations_replies(channel=place.channel, ts=place.thread or "", limit=1)
    )
    root: Mapping[str, Any] = next(iter(page.get("messages", [])), {})
    above = inbound.heard({**root, "type": "message", "channel": place.channel}, team.me)
    if above is None:
        return said
    return replace(said, text=above.inbound.text, attachments=above.inbound.attachments)


async def _thank(team: Team, verdict: Verdict) -> None:
    place = Place.parse(verdict.address.place)
    try:
        await asked(
            team.client.chat_postEphemeral(
                channel=place.channel,
                thread_ts=place.thread,
                user=verdict.customer,
                text=say(Phrase.FEEDBACK_THANKS, verdict.language),
            )
        )
    except (Unavailable, Rejected, TimeoutError) as error:
        log.info("slack_thanks_not_shown", error=str(error))
