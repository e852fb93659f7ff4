"""The recipe, one change at a time: what training comes to with each, equally long, on the validation split.

python -m train.recipe --changes "lr 0.1" "init random" --out runs/mine
"""

import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field

import tyro
from reasoning_arena.train.config import Config
from reasoning_arena.train.errors import TrainingError
from reasoning_arena.train.records import Json
from reasoning_arena.train.studies import command, markdown, mean_and_error, share_and_error, write
from reasoning_arena.train.trials import EquallyLong, Trial, trials

# What a change must leave alone, for runs to be compared.
THE_SAME = "tasks", "difficulty", "episodes", "minutes", "eval_episodes", "eval_split", "seed", "run_dir", "resume"
INSTRUCTION = 'init-text "Answer with the final answer only."'


@dataclass(frozen=True)
class Recipe(EquallyLong):
    """Change the recipe in one way at a time, train for equally long, and compare what that comes to."""

    changes: tuple[str, ...] = (
        "init vocabulary",
        "init random",
        INSTRUCTION,
        f"{INSTRUCTION} --soft-tokens 32",
        "chat-template",
        "target answer",
        "lr 0.05",
        "lr 0.1",
        "lr 0.4",
        "batch-size 1",
        "batch-size 2",
        "batch-size 8",
        "batch-size 16",
        "replay 0",
        "adaptive",
    )
    """Flags of train.online, each of which is one run: without the first two dashes."""
    training: Config = field(default_factory=lambda: Config(eval_split="validation"))
    """The recipe that is changed."""


def run(study: Recipe) -> tuple[Json, str]:
    """Train the recipe as it is, then with each of the changes."""
    wanted = [
        Trial({"change": change, "seed": seed}, changed(study.config(seed=seed), change))
        for change in ("", *study.changes)
        for seed in study.seeds
    ]
    results: Json = {"minutes": study.minutes, "problems": study.problems, "split": study.training.eval_split}
    for results["runs"] in trials(study.out, wanted):
        write(study, results, table(results))
    return results, table(results)


def changed(config: Config, change: str) -> Config:
    """A configuration with what these flags change.

    Raises:
        TrainingError: they cannot be read, or change what runs that are compared have in common.
    """
    try:
        arguments = shlex.split(f"--{change}") if change else []
    except ValueError as error:
        raise TrainingError(f"--changes {change!r} cannot be read: {error}") from error
    new = tyro.cli(Config, prog="python -m train.online", args=arguments, default=config)
    for name in THE_SAME:
        if getattr(new, name) != getattr(config, name):
            raise TrainingError(f"--changes {change!r} is not allowed: {name} is the same for all that is compared")
    return new


def table(results: Json) -> str:
    """Means over the seeds, with 95% confidence intervals where there are several."""
    runs = results["runs"]
    tasks = list(runs[0]["final"]["per_task"])
    rows = []
    for change in dict.fromkeys(one["change"] for one in runs):
        cell = [one for one in runs if one["change"] == change]
        rows.append(
            [
                f"`--{change}`" if change else "as it is",
                mean_and_error([one["initial"]["accuracy"] for one in cell])[0],
                share_and_error([one["final"]["accuracy"] for one in cell]),
                *(mean_and_error([one["final"]["per_task"][task] for one in cell])[0] for task in tasks),
                f"{mean_and_error([float(one['episodes']) for one in cell])[0]:.0f}",
            ]
        )
    return markdown(["recipe", "before", "after", *tasks, "episodes"], rows)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    return command(Recipe, run, "python -m train.recipe", arguments)


if __name__ == "__main__":
    sys.exit(main())
