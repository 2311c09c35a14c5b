"""How a Telegram chat, or a topic in one, is spelt as a place."""

from telegram import MaybeInaccessibleMessage, Message

from core.errors import Rejected
from core.turn import Address, Channel, WorkspaceId


def place_of(chat_id: int, thread_id: int | None = None) -> str:
    """The place of a chat or of one of its topics."""
    return str(chat_id) if thread_id is None else f"{chat_id}/{thread_id}"


def chat_of(place: str) -> tuple[int, int | None]:
    """The chat and the topic of a place.

    Raises: Rejected: this is no place of ours.
    """
    chat, _, thread = place.partition("/")
    try:
        return int(chat), int(thread) if thread else None
    except ValueError as error:
        raise Rejected(f"{place!r} is no Telegram chat") from error


def address(workspace: WorkspaceId, place: str) -> Address:
    """The address of a place."""
    return Address(workspace=workspace, channel=Channel.TELEGRAM, place=place)


def address_of(workspace: WorkspaceId, message: MaybeInaccessibleMessage) -> Address:
    """Where replies to a message go."""
    thread_id = None
    # Replies in "General" carry a thread id too, which is no topic and cannot be sent to.
    if isinstance(message, Message) and message.is_topic_message:
        thread_id = message.message_thread_id
    return address(workspace, place_of(message.chat.id, thread_id))
