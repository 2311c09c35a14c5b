"""The chat in a terminal: a customer of a running desk, over the same routes as the page."""

import asyncio
import locale
import os
import sys
from collections.abc import AsyncIterator

from rich.console import Console
from rich.live import Live
from rich.markdown import Markdown
from rich.spinner import Spinner
from rich.text import Text

from bots.web.client import Connection, Said
from core.errors import Rejected, Unavailable
from core.phrases import Phrase, say

REPLY_S = 90.0
PATIENCE_S = 12.0
HELP = "/person  /language TAG  /good  /bad  /new  /quit"


class Terminal:
    """One conversation in a terminal, or through a pipe."""

    def __init__(self, connection: Connection, console: Console, *, language: str) -> None:
        """Write to `console`, in `language` until a reply came in another."""
        self._connection = connection
        self._spoken = language
        self._console = console
        self._reply: Said | None = None
        self._heard = asyncio.Event()
        self._replied = False
        self._live: Live | None = None
        self._listening: asyncio.Task[None] | None = None
        # A person at a terminal may want to go on writing; a script wants the reply.
        self._patience_s = PATIENCE_S if console.is_terminal else REPLY_S

    async def run(self, typed: AsyncIterator[str]) -> None:
        """Send each line and show what comes back, until the input ends or says `/quit`.

        Raises: Unavailable: the desk is gone, or a reply did not come.
        """
        self._listening = asyncio.create_task(self._listen())
        try:
            self._prompt()
            async for text in typed:
                if text.strip() == "/quit":
                    break
                if text.strip():
                    await self._act(text.strip())
                self._prompt()
        finally:
            await self._stop_listening()

    async def _stop_listening(self) -> None:
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.gather(self._listening, return_exceptions=True)

    async def _act(self, text: str) -> None:
        """Do what a line says; whatever the desk refuses is one line for the reader."""
        command, _, rest = text.partition(" ")
        try:
            if command == "/person":
                await self._await_reply("/chat/person")
            elif command == "/language":
                await self._await_reply("/chat/language", language=rest.strip())
            elif command in {"/good", "/bad"}:
                await self._rate(helpful=command == "/good")
            elif command == "/new":
                await self._begin_anew()
            elif command.startswith("/"):
                self._note(HELP)
            else:
                await self._write(text)
        except Rejected as error:
            self._note(f"not taken: {error}")

    async def _write(self, text: str) -> None:
        """Send a message, or what a number stands for in the last reply."""
        reply = self._reply
        number = int(text) if text.isascii() and text.isdigit() and len(text) < 3 else 0
        if reply is not None and 0 < number <= len(reply.choices):
            await self._await_reply("/chat/messages", text=reply.choices[number - 1])
        elif reply is not None and 0 < number <= len(reply.languages):
            tag = reply.languages[number - 1].tag
            await self._await_reply("/chat/language", language=tag)
        else:
            await self._await_reply("/chat/messages", text=text)

    async def _begin_anew(self) -> None:
        await self._stop_listening()
        await self._connection.begin_anew()
        self._reply = None
        self._listening = asyncio.create_task(self._listen())

    async def _rate(self, *, helpful: bool) -> None:
        if self._reply is None or self._reply.turn is None:
            self._note("there is no reply to rate yet")
            return
        await self._connection.do("/chat/feedback", turn=self._reply.turn, helpful=helpful)
        self._note(say(Phrase.FEEDBACK_THANKS, self._reply.language))

    async def _await_reply(self, path: str, **body: object) -> None:
        self._replied = False
        writing = Spinner("dots", Text(say(Phrase.WRITING, self._language()), style="dim"))
        with Live(writing, console=self._console, transient=True) as self._live:
            try:
                await self._connection.do(path, **body)
                while not self._replied:
                    self._heard.clear()
                    # Python 3.11's wait_for loses a cancellation that comes with the event.
                    async with asyncio.timeout(self._patience_s):
                        await self._heard.wait()
            except TimeoutError:
                if not self._console.is_terminal:
                    raise Unavailable("desk", f"no reply within {REPLY_S:g} s") from None
            finally:
                live, self._live = self._live, None
                live.update("")

    async def _listen(self) -> None:
        async for heard in self._connection.events():
            if heard.said is None:
                if heard.beginning and self._live is not None:
                    self._live.update(Markdown(heard.beginning))
            elif heard.said.author != "customer":
                self._show(heard.said)
                self._replied = True
            self._heard.set()

    def _show(self, said: Said) -> None:
        """Print a reply whole: what it says, where from, and what can be picked."""
        unasked = self._live is None
        if self._live is not None:
            self._live.update("", refresh=True)
        elif self._console.is_terminal:
            self._console.print()
        shown = Markdown(said.text) if self._console.is_terminal else Text(said.text)
        self._console.print(shown, soft_wrap=not self._console.is_terminal)
        for citation in said.citations:
            name = say(Phrase.SOURCE, said.language)
            self._note(
                f"{name}: {citation.title}" + (f" ({citation.href})" if citation.href else "")
            )
        options = said.choices or tuple(offered.name for offered in said.languages)
        for number, option in enumerate(options, 1):
            self._note(f"{number}. {option}")
        self._reply = said
        if unasked:
            self._prompt()

    def _note(self, text: str) -> None:
        self._console.print(Text(text, style="dim"), soft_wrap=True)

    def _prompt(self) -> None:
        if self._console.is_terminal:
            self._console.print(Text("> ", style="bold"), end="")

    def _language(self) -> str:
        return self._reply.language if self._reply is not None else self._spoken


async def typed_lines(descriptor: int) -> AsyncIterator[str]:
    """Lines from a terminal, a pipe or a file, without a thread that would outlive us."""
    rest = b""
    while True:
        await _readable(descriptor)
        read = os.read(descriptor, 65_536)
        *lines, rest = (rest + read).split(b"\n")
        for line in lines:
            yield line.decode(errors="replace")
        if not read:
            break
    if rest:
        yield rest.decode(errors="replace")


async def _readable(descriptor: int) -> None:
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    try:
        loop.add_reader(descriptor, ready.set)
    except PermissionError:
        # A file is always readable, and cannot be waited for.
        return
    try:
        await ready.wait()
    finally:
        loop.remove_reader(descriptor)


async def chat(url: str, *, language: str = "") -> None:
    """Chat with the desk at `url` on this process's standard input and output.

    Raises: Unavailable: no desk answers there, or it is gone.
    """
    console = Console(highlight=False)
    spoken = language or (locale.getlocale()[0] or "en").replace("_", "-")
    async with Connection.open(url, language=spoken) as connection:
        if console.is_terminal:
            console.print(say(Phrase.GREETING, spoken), Text(HELP, style="dim"))
        await Terminal(connection, console, language=spoken).run(typed_lines(sys.stdin.fileno()))
