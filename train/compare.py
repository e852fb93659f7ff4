"""Every learner by every objective, for equally long: one table and one plot.

python -m train.compare --minutes 5 --out runs/mine
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from reasoning_arena.envs.files import replacing
from reasoning_arena.train.config import LearnerName, LossName
from reasoning_arena.train.records import Json
from reasoning_arena.train.studies import command, markdown, mean_and_error, share_and_error, write
from reasoning_arena.train.trials import EquallyLong, Trial, trials


@dataclass(frozen=True)
class Comparison(EquallyLong):
    """Train every learner by every objective for equally long, and compare them."""

    learners: tuple[LearnerName, ...] = ("soft-prompt", "per-task", "mixture", "lora", "hybrid")
    """What learns."""
    objectives: tuple[LossName, ...] = ("supervised", "reward", "contrastive")
    """How it learns."""


def run(study: Comparison) -> tuple[Json, str]:
    """Train the whole grid, one run after another."""
    wanted = [
        Trial(
            {"learner": learner, "objective": objective, "seed": seed},
            study.config(learner=learner, loss=objective, seed=seed),
        )
        for learner, objective, seed in product(study.learners, study.objectives, study.seeds)
    ]
    results: Json = {"minutes": study.minutes, "problems": study.problems}
    for results["runs"] in trials(study.out, wanted):
        write(study, results, table(study, results))
    if study.out is not None:
        draw(study, results, study.out / "comparison.png")
    return results, table(study, results)


def runs_of(results: Json, learner: str, objective: str) -> list[Json]:
    """A cell of the grid: its runs, one a seed."""
    return [one for one in results["runs"] if (one["learner"], one["objective"]) == (learner, objective)]


def table(study: Comparison, results: Json) -> str:
    """Means over the seeds, with 95% confidence intervals where there are several."""
    tasks = list(results["runs"][0]["final"]["per_task"])
    head = ["learner", "objective", "before", "after", *tasks, "learnt numbers", "episodes/s", "peak GB"]
    rows = []
    for learner, objective in product(study.learners, study.objectives):
        cell = runs_of(results, learner, objective)
        if not cell:  # not yet run
            continue
        rows.append(
            [
                learner,
                objective,
                mean_and_error([one["initial"]["accuracy"] for one in cell])[0],
                share_and_error([one["final"]["accuracy"] for one in cell]),
                *(mean_and_error([one["final"]["per_task"][task] for one in cell])[0] for task in tasks),
                f"{cell[0]['parameters']:,}",
                f"{mean_and_error([one['episodes_per_second'] for one in cell])[0]:.1f}",
                f"{max(one['peak_memory'] for one in cell) / 1e9:.1f}",
            ]
        )
    return markdown(head, rows)


def draw(study: Comparison, results: Json, path: Path) -> None:
    """Bars of the final accuracy, with confidence intervals."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4), layout="constrained")
    axes = figure.subplots()
    width = 0.8 / len(study.objectives)
    for k, objective in enumerate(study.objectives):
        cells = [
            mean_and_error([one["final"]["accuracy"] for one in runs_of(results, learner, objective)])
            for learner in study.learners
        ]
        at = [i + k * width for i in range(len(study.learners))]
        axes.bar(at, [mean for mean, _ in cells], width, yerr=[error for _, error in cells], capsize=3, label=objective)
    axes.set_xticks([i + 0.4 - width / 2 for i in range(len(study.learners))], study.learners)
    axes.set(ylim=(0, 1), ylabel=f"accuracy on {study.problems} held-out problems", title=f"{study.minutes:g} minutes")
    axes.legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as part:
        figure.savefig(part, format="png", dpi=110)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    return command(Comparison, run, "python -m train.compare", arguments)


if __name__ == "__main__":
    sys.exit(main())
