"""Loads models of transformers in a form that can run no code but ours."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from core.errors import Misconfigured
from retrieval.encoder import NOT_LOADED, first_line
from retrieval.model_folder import check_safe, model_folder
from retrieval.own_thread import OwnThread

BATCH = 16

In = TypeVar("In")
Out = TypeVar("Out")


class LazyModel:
    """A model and its tokenizer, loaded for the first batch; batches take turns on its thread."""

    def __init__(self, model: str | Path, form: str) -> None:
        """Check a folder or hub id; `form` is the Auto class of transformers that it must fit.

        Raises: Misconfigured: there is no such model, or it is not safe to load.
        """
        self.folder = check_safe(model_folder(model))
        self._form = form
        self._loaded: tuple[Any, Any] | None = None
        self._thread = OwnThread(form)

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.folder.name

    def labels(self) -> tuple[str, ...]:
        """The labels of a classifier, by number.

        Raises: Misconfigured: its configuration names none.
        """
        try:
            named: dict[str, str] = json.loads((self.folder / "config.json").read_bytes())[
                "id2label"
            ]
            return tuple(str(named[str(at)]) for at in range(len(named)))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise Misconfigured(
                f"{self.folder}: no classifier; its config.json names no labels"
            ) from error

    async def run(
        self,
        work: Callable[[Any, Any, list[In]], Sequence[Out]],
        items: Sequence[In],
        size: Callable[[In], int],
    ) -> list[Out]:
        """What `work(model, tokenizer, batch)` makes of the items; those of a size go together.

        Raises: Misconfigured: the model cannot be loaded.
        """
        order = sorted(range(len(items)), key=lambda at: size(items[at]))
        made: dict[int, Out] = {}
        for start in range(0, len(order), BATCH):
            places = order[start : start + BATCH]
            found = await self._thread.run(self._work, work, [items[at] for at in places])
            made |= zip(places, found, strict=True)
        return [made[at] for at in range(len(items))]

    def _work(
        self, work: Callable[[Any, Any, list[In]], Sequence[Out]], batch: list[In]
    ) -> Sequence[Out]:
        import torch

        if self._loaded is None:
            self._loaded = _load(self.folder, self._form)
        with torch.inference_mode():
            return work(*self._loaded, batch)


def max_tokens(model: Any, tokenizer: Any) -> int:
    """How long a text may be; RoBERTa and its like need two places for themselves."""
    places = getattr(model.config, "max_position_embeddings", 514) - 2
    return int(min(tokenizer.model_max_length, max(places, 2), 512))


def _load(folder: Path, form: str) -> tuple[Any, Any]:
    import torch
    import transformers
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # no stubs
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]  # what matters is refused below
    torch.set_num_threads(min(4, torch.get_num_threads()))
    safe = {"trust_remote_code": False, "local_files_only": True}
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder, **safe)
        model, report = getattr(transformers, form).from_pretrained(
            folder, dtype=torch.float32, use_safetensors=True, output_loading_info=True, **safe
        )
    except NOT_LOADED as error:
        said = first_line(error)
        raise Misconfigured(f"{folder}: cannot be loaded as {form} ({said})") from error
    if report["missing_keys"]:
        # transformers would fill them with chance, and only warn of it.
        lacks = ", ".join(sorted(report["missing_keys"])[:2])
        raise Misconfigured(f"{folder}: not trained as {form}; it lacks {lacks}")
    return model.eval(), tokenizer
