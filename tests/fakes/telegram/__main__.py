"""Play a customer of the bot in a terminal: `python -m tests.fakes.telegram`."""

import argparse
import asyncio
import sys

from tests.fakes.telegram.limits import FloodLimits
from tests.fakes.telegram.server import FakeTelegram

HELP = """Write as a customer. Lines that start with a colon do something else:
  :press LABEL     press the newest button with that label
  :edit TEXT       edit your last message
  :voice :photo :document :sticker   send a file
  :chat NUMBER     write in another chat; a negative number is a group (name @desk_bot there)
  :lang CODE       the language of your app
  :quit"""
LOOK_EVERY_S = 0.1


class Customer:
    """One person at the keyboard."""

    def __init__(self, telegram: FakeTelegram) -> None:
        self._telegram = telegram
        self._chat = 1001
        self._language = "en"
        self._last = 0
        self._seen: dict[int, str] = {}
        self._notices: set[str] = set()

    def does(self, line: str) -> None:
        """Do what one line says."""
        word, _, rest = line.partition(" ")
        if word == ":press":
            self._telegram.user_presses(self._chat, rest)
        elif word == ":edit":
            self._telegram.user_edits(self._chat, self._last, rest)
        elif word in (":voice", ":photo", ":document", ":sticker"):
            self._telegram.user_sends(self._chat, word[1:], caption=rest)
        elif word == ":chat":
            self._chat = int(rest)
        elif word == ":lang":
            self._language = rest
        elif word.startswith(":"):
            print(HELP)
        elif line:
            self._last = self._telegram.user_says(self._chat, line, language_code=self._language)

    async def watch(self) -> None:
        """Print what the bot says, for as long as the server runs."""
        while True:
            for message in self._telegram.messages(self._chat):
                buttons = "".join(f" [{label}]" for label, _ in message.buttons)
                shown = f"{message.text}\n    {buttons}" if buttons else message.text
                if self._seen.get(message.message_id) != shown:
                    self._seen[message.message_id] = shown
                    print(f"bot> {shown}", flush=True)
            for query, notice in self._telegram.methods.notices.items():
                if query not in self._notices:
                    self._notices.add(query)
                    print(f"notice> {notice}" if notice else "notice>", flush=True)
            await asyncio.sleep(LOOK_EVERY_S)


async def serve(port: int, *, limited: bool) -> None:
    """Serve until the input ends."""
    limits = FloodLimits() if limited else None
    async with FakeTelegram(port=port, limits=limits) as telegram:
        print(f"export TELEGRAM_API_URL={telegram.url}")
        print(f"export TELEGRAM_BOT_TOKEN={telegram.token}")
        print("# Set these two, start the desk, then write here. :help tells what else there is.")
        sys.stdout.flush()
        customer = Customer(telegram)
        watching = asyncio.create_task(customer.watch())
        while line := await asyncio.to_thread(sys.stdin.readline):
            if line.strip() == ":quit":
                break
            try:
                customer.does(line.strip())
            except (AssertionError, KeyError, ValueError) as error:
                print(f"not done: {error}", flush=True)
        watching.cancel()


def main() -> None:
    """Read the options and serve."""
    parser = argparse.ArgumentParser(prog="python -m tests.fakes.telegram")
    parser.add_argument("--port", type=int, default=8081)
    parser.add_argument("--limits", action="store_true", help="enforce Telegram's flood limits")
    options = parser.parse_args()
    with asyncio.Runner() as runner:
        runner.run(serve(options.port, limited=options.limits))


if __name__ == "__main__":
    main()
