"""Templates of the console, put into a language."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_datetime, format_timedelta
from babel.numbers import format_decimal, format_percent
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from bots.attached import in_words, on_map
from bots.web.console.wording import console_languages, translations
from bots.web.shown import as_html
from bots.web.texts import page_languages
from core.language import autonym, is_right_to_left, language_name
from core.staff import Role

if TYPE_CHECKING:
    from bots.web.console.visit import Visit

HERE = Path(__file__).parent
# Shapes of our own, on a grid of 24.
ICONS: Mapping[str, str] = dict(
    line.split(" ", 1) for line in (HERE / "icons.txt").read_text(encoding="utf-8").splitlines()
)


class Screens:
    """Renders the templates; one environment a language, as each has its own catalogue."""

    def render(self, visit: "Visit", template: str, values: Mapping[str, object]) -> str:
        """The page as HTML. What is not given to a template is an error."""
        shared = {
            "visit": visit,
            "me": visit.account,
            "csrf": visit.csrf,
            "here": visit.request.url.path,
            "told": visit.request.query_params.get("told", ""),
            "is_admin": visit.may(Role.ADMIN),
            "is_agent": visit.may(Role.AGENT),
            "name": visit.needs.name,
        }
        return _environment(visit.language).get_template(template).render({**shared, **values})


@lru_cache(maxsize=64)
def _environment(language: str) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=select_autoescape(),
        undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n"],
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.install_gettext_translations(  # type: ignore[attr-defined]  # added by the extension
        translations(language), newstyle=True
    )
    locale = locale_of(language)
    environment.globals |= {
        "page": console_languages()[language],
        "languages": page_languages(),
        "icon": icon,
    }
    environment.filters |= {
        "autonym": autonym,
        "language": lru_cache(maxsize=512)(partial(language_name, reader=language)),
        "side": lambda tag: "rtl" if is_right_to_left(tag) else "ltr",
        "html": lambda text: Markup(as_html(text)),
        "when": partial(when, locale=locale),
        "in_words": in_words,
        "on_map": on_map,
        "day": partial(day, locale=locale),
        "ago": partial(ago, locale=locale),
        "days": lambda seconds: format_timedelta(
            seconds, granularity="day", threshold=1_000, locale=locale
        ),
        "percent": partial(percent, locale=locale),
        "number": lambda value: format_decimal(value, locale=locale),
    }
    return environment


@lru_cache(maxsize=64)
def locale_of(language: str) -> Locale:
    """What Babel knows of a language; English where it knows nothing."""
    try:
        return Locale.parse(language.replace("-", "_"))
    except (UnknownLocaleError, ValueError):
        return Locale.parse("en")


def icon(name: str) -> Markup:
    """A drawing that says nothing by itself."""
    shapes = Markup(ICONS[name])
    return Markup(
        '<svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">{}</svg>'
    ).format(shapes)


def when(at: float, zone: str, *, locale: Locale) -> str:
    """A moment in the workspace's time zone."""
    moment = datetime.fromtimestamp(at, UTC)
    return str(format_datetime(moment, "short", tzinfo=ZoneInfo(zone), locale=locale))


def day(of: date, *, locale: Locale) -> str:
    """A day of the calendar."""
    return str(format_date(of, locale=locale))


def ago(seconds: float, *, locale: Locale) -> str:
    """A length of time, in the largest unit that fits it."""
    whole = max(0, int(seconds))
    return str(format_timedelta(whole, threshold=1.2, format="short", locale=locale))


def percent(share: float | None, *, locale: Locale) -> str:
    """A share between 0 and 1; a dash where nothing was counted."""
    return "–" if share is None else str(format_percent(share, locale=locale))
