"""The command `dragoman`."""

import errno
import os
import sys
from dataclasses import asdict
from typing import Annotated, Any

import typer

from core.errors import DragomanError, Misconfigured
from core.language import is_tag
from dragoman import __version__, running
from dragoman.console import (
    FAILED,
    WRONG_USE,
    AsJson,
    complain,
    err,
    for_us_alone,
    out,
    print_json,
    print_plain,
    progress_bar,
    readable,
    run_async,
)
from dragoman.desk_commands import desk
from dragoman.erase_command import erase
from dragoman.evaluate_command import evaluate
from dragoman.knowledge_commands import knowledge
from dragoman.logs import configure
from dragoman.models_commands import models
from dragoman.people_commands import people
from dragoman.settings import Settings, load
from dragoman.train_command import train

# What loads torch or a model is imported by the command that needs it: the others answer at once.

cli = typer.Typer(
    name="dragoman",
    help="A self-hosted support desk that speaks every customer's language.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
cli.add_typer(knowledge, name="knowledge")
cli.add_typer(desk, name="desk")
cli.add_typer(people, name="people")
cli.add_typer(models, name="models")
cli.command()(erase)
cli.command()(evaluate)
cli.command()(train)


def main() -> None:
    """Run the command; what it cannot do ends in one line on stderr and an exit code."""
    try:
        cli()
    except DragomanError as error:
        complain(str(error))
        sys.exit(WRONG_USE if isinstance(error, Misconfigured) else FAILED)
    except KeyboardInterrupt:
        sys.exit(130)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        complain(f"{error.filename or 'what the output goes to'} is full; make room")
        sys.exit(FAILED)


@cli.callback(invoke_without_command=True)
def version(
    show: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """A self-hosted support desk that speaks every customer's language."""
    if show:
        print_plain(f"dragoman {__version__}")
        raise typer.Exit


@cli.command()
def run(
    port: Annotated[
        int | None, typer.Option(min=0, max=65_535, help="Another port than DRAGOMAN_PORT.")
    ] = None,
) -> None:
    """Start the desk: the web page, and each channel that has a token."""

    async def work(settings: Settings) -> None:
        from dragoman.app import serve

        err.print("Starting…")
        changed = {} if port is None else {"port": port}
        with progress_bar() as progress:
            await serve(settings.model_copy(update=changed), announce=_announce, progress=progress)

    run_async(work, quiet=False)


def _announce(url: str, channels: list[str], documents: int, first_admin: str | None) -> None:
    """Say what runs, and what to do next."""
    err.print()
    err.print("  Dragoman is ready.", style="bold")
    err.print("  Ask it in any language   ", end="")
    err.print(url, style="bold cyan")
    err.print(f"  Knowledge                {documents} documents   dragoman knowledge add PATH")
    err.print(f"  Channels                 {', '.join(channels)}")
    err.print("  Who waits for a person   dragoman desk list")
    if first_admin:
        err.print("  Become administrator     ", end="")
        err.print(f"{url}/desk/join/{first_admin}", style="bold cyan")
    else:
        err.print(f"  Staff answer on          {url}/desk")
    err.print("  Is all well              dragoman doctor")
    err.print("  Stop with Ctrl+C.\n")


@cli.command()
def worker(
    queues: Annotated[
        str, typer.Option(help="What to look after, comma-separated.")
    ] = "turns,indexing,training",
    beat: Annotated[
        bool, typer.Option("--beat", help="Ring for all of them as well; several may do so.")
    ] = False,
    concurrency: Annotated[
        int, typer.Option(min=1, help="Processes; each loads what it answers with.")
    ] = 1,
) -> None:
    """Do beside `dragoman run` what nobody waits for; needs DRAGOMAN_BROKER_URL.

    turns: serve what a replica that died, or has too much to do, left unanswered. indexing: add
    what an index lacks. training: learn at night; a machine with a GPU serves this queue best.
    """
    settings = load()
    if not settings.broker_url:
        raise Misconfigured(
            "a worker needs DRAGOMAN_BROKER_URL; without a broker, `dragoman run` does it all"
        )
    configure(level=settings.log_level, form=settings.log_format)
    # Read once, when Celery is imported: a worker that is told to stop finishes what is in hand for
    # some seconds, not for as long as it takes.
    os.environ.setdefault("REMAP_SIGTERM", "SIGQUIT")
    from dragoman.worker import work

    with for_us_alone():
        work(settings, queues, beat=beat, concurrency=concurrency)


def _tag(language: str | None) -> str | None:
    if language and not is_tag(language):
        raise typer.BadParameter(f"{language!r} is no language tag; write de, fr or pt-BR")
    return language


@cli.command()
def ask(
    question: Annotated[str, typer.Argument(help="A customer's question.", callback=readable)],
    language: Annotated[
        str | None, typer.Option(help="Answer in this language.", callback=_tag)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Ask one question, as a customer would."""

    async def work(settings: Settings) -> dict[str, Any]:
        found = await running.ask(settings.data_dir, question, language)
        if found is not None:
            return found
        err.print("Starting what is needed; while `dragoman run` is up, this answers at once.")
        from dragoman import composition

        async with composition.open_core(settings) as core:
            await composition.load_demo(core)
            await core.retrieval.warm(core.workspace)
            return await composition.ask(core, question, language)

    reply = run_async(work)
    if as_json:
        print_json(reply)
        return
    print_plain(reply["text"])
    for document, title in {c["document"]: c["title"] for c in reply["citations"]}.items():
        out.print(f"— {title}  ({document})", style="dim")


@cli.command()
def chat() -> None:
    """Talk to the bot in this terminal."""

    async def work(settings: Settings) -> None:
        from bots.terminal import chat as talk

        url = await running.url(settings.data_dir)
        if url is not None:
            await talk(url)
            return
        err.print("Starting a desk for this conversation…")
        from dragoman.app import serving

        async with serving(settings.model_copy(update={"port": 0})) as own:
            await talk(own)

    run_async(work)


@cli.command()
def detect(
    text: Annotated[str, typer.Argument(help="Any text.", callback=readable)],
    as_json: AsJson = False,
) -> None:
    """Tell the language of a text."""

    async def work(settings: Settings) -> list[tuple[str, float]]:
        from core.adapters.detector import CombinedDetector

        return list(await CombinedDetector().detect(text))

    guesses = run_async(work) or [("und", 0.0)]
    if as_json:
        ranked = [{"language": tag, "probability": round(value, 4)} for tag, value in guesses]
        print_json({**ranked[0], "guesses": ranked})
        return
    for tag, probability in guesses[:3]:
        print_plain(f"{tag}\t{probability:.3f}")


@cli.command()
def doctor(as_json: AsJson = False) -> None:
    """Check tokens, database, index, model and broker, and say what to do where one is wrong."""
    from dragoman.doctor import examine

    findings = run_async(examine)
    for finding in findings:
        if as_json:
            print_json(asdict(finding))
        else:
            style = {"ok": "green", "off": "dim", "bad": "bold red"}[finding.state]
            out.print(f"{finding.state:<4}{finding.part:<10}", style=style, end="")
            print_plain(finding.text)
    if any(finding.state == "bad" for finding in findings):
        raise typer.Exit(FAILED)
