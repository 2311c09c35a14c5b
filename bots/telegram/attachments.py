"""What came along with a Telegram message."""

from telegram import Contact, Location, Message, PhotoSize, Venue

from bots.telegram.texts import storable
from core.turn import Attachment


def attachments(message: Message) -> tuple[Attachment, ...]:
    """The file or thing that came along; a message holds one at most."""
    item = message.effective_attachment
    if item is None:
        return ()
    if isinstance(item, tuple | list):
        return _photo(tuple(size for size in item if isinstance(size, PhotoSize)))
    if isinstance(item, Venue | Location):
        place = item.location if isinstance(item, Venue) else item
        title = item.title if isinstance(item, Venue) else ""
        ref = f"{place.latitude},{place.longitude}"
        return (Attachment(kind="location", ref=ref, name=title),)
    if isinstance(item, Contact):
        name = " ".join(filter(None, (item.first_name, item.last_name)))
        return (Attachment(kind="contact", ref=item.phone_number, name=storable(name)),)
    file_id = getattr(item, "file_id", None)
    # What has no file (a poll, a dice) can still be forwarded to a person by its message.
    return (
        Attachment(
            kind=_KINDS.get(type(item).__name__, "other") if file_id else "other",
            ref=file_id or f"message:{message.chat.id}/{message.message_id}",
            name=storable(getattr(item, "file_name", None) or ""),
            size_bytes=getattr(item, "file_size", None) or 0,
        ),
    )


_KINDS = {
    "Voice": "voice",
    "Audio": "audio",
    "Video": "video",
    "VideoNote": "video",
    "Animation": "video",
    "Document": "document",
    "Sticker": "sticker",
}


def _photo(sizes: tuple[PhotoSize, ...]) -> tuple[Attachment, ...]:
    if not sizes:
        return ()
    largest = max(sizes, key=lambda size: size.width * size.height)
    return (Attachment(kind="photo", ref=largest.file_id, size_bytes=largest.file_size or 0),)
