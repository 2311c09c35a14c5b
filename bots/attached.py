"""What is attached to a message and is no file: a contact, a place."""

from core.turn import Attachment


def in_words(attached: Attachment) -> str:
    """All that it says; empty for a file."""
    if attached.kind == "contact":
        return f"{attached.name} {attached.ref}".strip()
    if attached.kind == "location":
        return f"{attached.name} {attached.ref.replace(',', ', ')}".strip()
    return ""


def on_map(attached: Attachment) -> str:
    """The address of a map that shows a place; empty for anything else."""
    if attached.kind != "location":
        return ""
    latitude, _, longitude = attached.ref.partition(",")
    return f"https://www.openstreetmap.org/?mlat={latitude}&mlon={longitude}"
