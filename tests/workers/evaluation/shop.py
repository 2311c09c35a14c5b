"""A small shop in two languages, its rows in the form of evaluation files."""

RETURNS = "You can return any article within 30 days. The refund reaches you in a week."
DOCUMENTS: list[dict[str, object]] = [
    {"doc_id": "returns", "lang": "en", "title": "Returns", "text": RETURNS},
    {
        "doc_id": "returns",
        "lang": "deu",
        "title": "Rückgabe",
        "text": "Sie können jeden Artikel innerhalb von 30 Tagen zurückgeben.",
    },
    {
        "doc_id": "delivery",
        "lang": "en",
        "title": "Delivery",
        "text": "A parcel takes three to five working days to arrive at your address.",
    },
    {
        "doc_id": "gift-cards",
        "lang": "en",
        "title": "Gift cards",
        "text": "A gift card is valid for two years after you have bought it.",
    },
]


def asked(lang: str, query: str, doc_id: str, **more: object) -> dict[str, object]:
    return {"lang": lang, "query": query, "doc_id": doc_id} | more


IN_ENGLISH = asked("eng", "Within how many days can I return an article?", "returns")
IN_GERMAN = asked("de", "In wie vielen Tagen kann ich einen Artikel zurückgeben?", "returns")
IN_FRENCH = asked("fr", "Pouvez-vous réparer ma bicyclette chez vous demain matin ?", "delivery")
