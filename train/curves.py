"""The picture of a run, learning_curves.png."""

from collections.abc import Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

from reasoning_arena.envs.files import replacing
from reasoning_arena.train.errors import TrainingError


def draw_curves(results: Mapping[str, Any], path: Path) -> None:
    """Draw held-out accuracy, accuracy before and after each update, and the training loss."""
    import matplotlib  # takes a while, and the end of the run is soon enough

    matplotlib.use("Agg", force=False)
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 3.6))
    figure.subplots_adjust(left=0.04, right=0.98, bottom=0.13, top=0.92, wspace=0.15)
    held_out, online, loss = figure.subplots(1, 3)
    evaluations, training = results["evaluations"], results["training"]
    episodes = [one["episode"] for one in evaluations]
    for task in evaluations[0]["per_task"]:
        held_out.plot(episodes, [one["per_task"].get(task) for one in evaluations], lw=1, alpha=0.7, label=task)
    held_out.plot(episodes, [one["accuracy"] for one in evaluations], "k-o", lw=2, ms=4, label="all")
    held_out.set(
        title=f"accuracy on {results['config']['eval_episodes']} held-out problems",
        xlabel="episode",
        ylim=(0, 1),
    )
    held_out.legend(fontsize=7)
    if training:
        x = [one["episode"] for one in training]
        for key, label in (("accuracy_before", "before the update"), ("accuracy_after", "after it")):
            online.plot(x, _smooth([one[key] for one in training]), label=label)
        online.legend(fontsize=7)
        known = [(one["episode"], one["loss"]) for one in training if one["loss"] is not None]
        if known:
            loss.plot([e for e, _ in known], [value for _, value in known], lw=0.5, alpha=0.4)
            loss.plot([e for e, _ in known], _smooth([value for _, value in known]))
    online.set(title="training questions (running mean)", xlabel="episode", ylim=(0, 1))
    loss.set(title="training loss", xlabel="episode")
    try:
        with replacing(path) as part:
            figure.savefig(part, format="png", dpi=110)
    except OSError as error:
        raise TrainingError(f"cannot write {path}: {error}") from error


def _smooth(values: Sequence[float]) -> list[float]:
    """A running mean over the last twentieth of the series."""
    width = max(1, len(values) // 20)
    sums = [0.0, *accumulate(values)]
    return [(sums[i] - sums[max(0, i - width)]) / min(i, width) for i in range(1, len(sums))]
