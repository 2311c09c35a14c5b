"""A Slack on this machine to try the bot in: `python -m tests.fakes.slack`."""

import argparse
import asyncio
import sys
from contextlib import suppress

from tests.fakes.slack import FakeSlack, Faults
from tests.fakes.slack.team import FakeMessage

DM, ROOM = "D0CUSTOMER", "C0GENERAL"
HELP = """\
Write as a customer, in any language:
  where is my order?      a direct message to the bot
  #where is my order?     a mention in the channel; #> goes on in that thread
  /press N                press button N under the bot's last message
  /edit TEXT, /delete     change or withdraw the last direct message
  /drop                   break the bot's connection
  /quit
"""


async def main() -> None:
    """Serve until the terminal closes."""
    args = _arguments()
    faults = Faults(
        seed=args.seed, duplicate=args.duplicate, reorder=args.reorder, refuse_429=args.refuse_429
    )
    async with FakeSlack(port=args.port, faults=faults) as slack:
        _introduce(slack)
        if args.events_url:
            slack.push.events_url = f"{args.events_url}/slack/events"
            slack.push.interactions_url = f"{args.events_url}/slack/interactions"
        printing = asyncio.create_task(_print_messages(slack))
        try:
            await (_serve_terminal(slack) if sys.stdin.isatty() else asyncio.Event().wait())
        finally:
            printing.cancel()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fakes.slack", description=__doc__)
    parser.add_argument("--port", type=int, default=9180)
    parser.add_argument("--events-url", help="post events here instead of Socket Mode")
    parser.add_argument("--seed", type=int, default=1)
    for name in ("--duplicate", "--reorder", "--refuse-429"):
        parser.add_argument(name, type=float, default=0.0, help="share of cases, 0 to 1")
    return parser.parse_args()


def _introduce(slack: FakeSlack) -> None:
    print("Start the bot in another terminal with these variables:\n")
    print(f"export SLACK_API_URL={slack.api_url}")
    print(f"export SLACK_BOT_TOKEN={slack.bot_token}")
    print(f"export SLACK_APP_TOKEN={slack.app_token}")
    print(f"# or over HTTP: export SLACK_SIGNING_SECRET={slack.signing_secret}")
    print(f"# to install from {slack.url}: export SLACK_CLIENT_ID={slack.client_id}", end=" ")
    print(f"SLACK_CLIENT_SECRET={slack.client_secret}\n")
    print(HELP, flush=True)


async def _print_messages(slack: FakeSlack) -> None:
    seen: set[str] = set()
    while True:
        for channel in (DM, ROOM):
            for message in slack.messages(channel):
                if message.ts not in seen:
                    seen.add(message.ts)
                    _show(channel, message)
        await slack.changed()


def _show(channel: str, message: FakeMessage) -> None:
    where = f"{channel} in a thread" if message.thread_ts else channel
    shown = [block["text"] for block in message.blocks if block["type"] == "markdown"]
    print(f"\n[{where}] {' '.join(shown) or message.text}")
    for number, button in enumerate(_buttons(message), 1):
        print(f"   {number}) {button[2]}")
    print(flush=True)


def _buttons(message: FakeMessage) -> list[tuple[str, bool, str]]:
    """(action id, negative, label) of each button."""
    found = []
    for element in (item for block in message.blocks for item in block.get("elements", [])):
        if element["type"] == "button":
            found.append((element["action_id"], False, element["text"]["text"]))
        elif element["type"] == "feedback_buttons":
            for negative, half in enumerate(("positive_button", "negative_button")):
                label = element[half]["text"]["text"]
                found.append((element["action_id"], bool(negative), label))
    return found


async def _serve_terminal(slack: FakeSlack) -> None:
    """Do what each line says until there are no more."""
    last = {DM: "", ROOM: ""}
    while line := await asyncio.to_thread(sys.stdin.readline):
        word, _, rest = line.strip().partition(" ")
        if word == "/quit":
            return
        if word == "/drop":
            await slack.disconnect(politely=False)
        elif word.startswith("/"):
            _act(slack, word, rest, last[DM])
        elif word:
            _write(slack, line.strip(), last)


def _write(slack: FakeSlack, line: str, last: dict[str, str]) -> None:
    if line.startswith("#>"):
        slack.user_says(ROOM, line[2:].strip(), thread_ts=last[ROOM] or None)
    elif line.startswith("#"):
        last[ROOM] = slack.user_says(ROOM, line[1:].strip(), mention=True)
    else:
        last[DM] = slack.user_says(DM, line)


def _act(slack: FakeSlack, word: str, rest: str, last: str) -> None:
    if word == "/press":
        _press(slack, rest)
    elif word == "/edit" and last:
        slack.user_edits(DM, last, rest)
    elif word == "/delete" and last:
        slack.user_deletes(DM, last)
    else:
        print(HELP, flush=True)


def _press(slack: FakeSlack, number: str) -> None:
    found = [(m, channel) for channel in (DM, ROOM) for m in slack.messages(channel) if m.blocks]
    if not found:
        return
    message, channel = max(found, key=lambda item: item[0].ts)
    buttons = _buttons(message)
    if number.isdigit() and 0 < int(number) <= len(buttons):
        action_id, negative, _ = buttons[int(number) - 1]
        slack.press(channel, message.ts, action_id, negative=negative, user="U0CUSTOMER")


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.Runner().run(main())
