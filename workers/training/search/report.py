"""Says what a search has found: the best recipe, all trials, and a picture of them."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import optuna
import yaml
from optuna.trial import FrozenTrial, TrialState

from core.errors import Rejected
from workers.training.curves import DEV, LOWER_IS_BETTER, TRAIN, style
from workers.training.search.space import changed, settings_of
from workers.training.search.study import Study, fault_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BEST, PICTURE, RESULT = "best.yaml", "search.png", "result.json"
Result = Mapping[str, Any]


def write_report(study: Study) -> Result:
    """Write the best recipe, the picture, and the figures of all trials, which it returns.

    Raises: Rejected: no trial got to its end.
    """
    with study.locked():
        trials = study.runs()
        complete = [trial for trial in trials if trial.state is TrialState.COMPLETE]
        if not complete:
            if any(not trial.state.is_finished() for trial in trials):
                return {}
            raise Rejected(f"none of {len(trials)} trials got to its end: {_last_fault(trials)}")
        best = study.journal.best_trial
        recipe = changed(study.recipe, best.params)
        _write(
            study.folder / BEST,
            yaml.safe_dump(settings_of(recipe), sort_keys=False, allow_unicode=True),
        )
        weights = _importances(study, complete)
        result = {
            "task": "search",
            "score": study.search.score,
            "best": _figures(best),
            "importances": weights,
            "trials": [_figures(trial) for trial in trials],
        }
        _draw(study, trials, weights)
        _write(study.folder / RESULT, json.dumps(result, indent=1, ensure_ascii=False) + "\n")
    return result


def _figures(trial: FrozenTrial) -> dict[str, Any]:
    figures = {
        "run": f"trials/{trial.user_attrs['run']}",
        "state": trial.state.name.lower(),
        "value": trial.value if trial.state is TrialState.COMPLETE else None,
        "settings": trial.params,
    }
    fault = fault_of(trial)
    return {**figures, "fault": fault} if fault else figures


def _last_fault(trials: Sequence[FrozenTrial]) -> str:
    faults = [fault for fault in map(fault_of, trials) if fault]
    return faults[-1] if faults else "all were pruned"


def _importances(study: Study, complete: Sequence[FrozenTrial]) -> dict[str, float]:
    """The share of the scores' variance that each setting explains; {} if nothing can be said."""
    if len({trial.value for trial in complete}) < 3:
        return {}
    shares = optuna.importance.get_param_importances(study.journal)
    return {name: round(share, 4) for name, share in shares.items()}


def _draw(study: Study, trials: Sequence[FrozenTrial], weights: Mapping[str, float]) -> None:
    """Left the score of each trial and the best so far, right what mattered."""
    from matplotlib.figure import Figure

    with style():
        figure = Figure(figsize=(10, 3.6), layout="constrained")
        history, bars = figure.subplots(1, 2, width_ratios=(3, 2))
        _draw_history(history, study.search.score, trials)
        names = list(weights)[::-1]
        bars.barh(names, [weights[name] for name in names], color=DEV)
        bars.set(title="share of the variance explained", xlim=(0, 1))
        unfinished = study.folder / "search.part.png"
        figure.savefig(unfinished, dpi=130)
    unfinished.rename(study.folder / PICTURE)


def _draw_history(axes: "Axes", score: str, trials: Sequence[FrozenTrial]) -> None:
    from matplotlib.ticker import MaxNLocator

    numbered = list(enumerate(trials, start=1))
    # A pruned trial has a value as well: its last one.
    done = [
        (i, trial.value)
        for i, trial in numbered
        if trial.state is TrialState.COMPLETE and trial.value is not None
    ]
    ended = [
        (i, trial.intermediate_values[trial.last_step])
        for i, trial in numbered
        if trial.state is TrialState.PRUNED and trial.last_step is not None
    ]
    axes.scatter(*zip(*done, strict=True), color=DEV, label="complete")
    if ended:
        axes.scatter(*zip(*ended, strict=True), color=TRAIN, marker="x", label="pruned")
    better = min if score.endswith(LOWER_IS_BETTER) else max
    values = [value for _, value in done]
    best = [better(values[: at + 1]) for at in range(len(values))]
    axes.step([i for i, _ in done], best, where="post", color=DEV, label="best so far")
    axes.set(title=score.replace("_", " "), xlabel="trial")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend()


def _write(path: Path, text: str) -> None:
    unfinished = path.with_suffix(".part")
    unfinished.write_text(text, encoding="utf-8")
    unfinished.rename(path)
