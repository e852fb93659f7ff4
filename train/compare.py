"""Every learner by every objective, for equally long: one table and one plot.

python -m train.compare --minutes 5 --out runs/comparison

Each run has a process of its own, so that its peak memory is its own. With ``--out`` a run is kept as soon as it ends:
a study that was interrupted, or that is given more learners, objectives or seeds, only does what is missing there.
"""

import hashlib
import json
import multiprocessing
import sys
from collections.abc import Container, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

from reasoning_arena.envs.files import replacing
from reasoning_arena.train.config import Config, LearnerName, LossName
from reasoning_arena.train.errors import TrainingError
from reasoning_arena.train.online import train
from reasoning_arena.train.records import read_json
from reasoning_arena.train.studies import Json, Study, command, markdown, mean_and_error, write
from tqdm import tqdm


@dataclass(frozen=True)
class Comparison(Study):
    """Train every learner by every objective for equally long, and compare them."""

    learners: tuple[LearnerName, ...] = ("soft-prompt", "per-task", "mixture", "lora", "hybrid")
    """What learns."""
    objectives: tuple[LossName, ...] = ("supervised", "reward", "contrastive")
    """How it learns."""
    minutes: float = 5.0
    """Of training, without evaluations, for each of them."""
    problems: int = 400
    """Held-out problems."""


def run(study: Comparison) -> tuple[Json, str]:
    """Train the whole grid, one run after another."""
    if not study.learners or not study.objectives or not study.seeds:
        raise TrainingError("--learners, --objectives and --seeds must not be empty")
    results: Json = {"minutes": study.minutes, "problems": study.problems, "runs": []}
    with TemporaryDirectory() as scratch:
        grid = {}
        for learner, objective, seed in product(study.learners, study.objectives, study.seeds):
            config = study.config(
                learner=learner,
                loss=objective,
                seed=seed,
                minutes=study.minutes,
                eval_interval=10**9,
                eval_episodes=study.problems,
                run_dir=Path(scratch) / f"{learner}-{objective}-{seed}",
                quiet=True,
            )
            grid[_fingerprint(config)] = config
        kept = _kept(study, grid)
        for settings, config in tqdm(grid.items(), unit="run", disable=None):
            if settings not in kept:
                spawn = multiprocessing.get_context("spawn")
                with ProcessPoolExecutor(1, mp_context=spawn) as alone:
                    figures = alone.submit(measure, config).result()
                named = {"learner": config.learner, "objective": config.loss, "seed": config.seed}
                kept[settings] = named | figures | {"settings": settings}
            results["runs"] = [kept[one] for one in grid if one in kept]
            write(study, results, table(study, results))
    if study.out is not None:
        draw(study, results, study.out / "comparison.png")
    return results, table(study, results)


def _fingerprint(config: Config) -> str:
    """Of everything that a run depends on but its folder."""
    settings = config.resolved().to_json() | {"run_dir": None}
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]


def _kept(study: Comparison, grid: Container[str]) -> dict[str, Json]:
    """The runs that an earlier study left in the same folder, by their settings' fingerprint.

    Raises:
        TrainingError: they are no part of this study, which would replace them.
    """
    if study.out is None or not (study.out / "results.json").exists():
        return {}
    past = read_json(study.out / "results.json").get("runs")
    if not isinstance(past, list) or not all(isinstance(one, dict) and one.get("settings") in grid for one in past):
        raise TrainingError(f"--out {study.out} holds results that are no part of this study; name another folder")
    return {one["settings"]: one for one in past}


def measure(config: Config) -> Json:
    """Train once; called in a process of its own."""
    results = train(config)
    wanted = "initial", "final", "training_seconds", "episodes_per_second", "parameters", "peak_memory"
    return {name: results[name] for name in wanted} | {"episodes": results["training"][-1]["episode"]}


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
        mean, error = mean_and_error([one["final"]["accuracy"] for one in cell])
        rows.append(
            [
                learner,
                objective,
                mean_and_error([one["initial"]["accuracy"] for one in cell])[0],
                f"{mean:.1%} ± {error:.1%}",
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
