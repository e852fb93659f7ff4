"""Continual learning: one task after another, and what becomes of the earlier ones.

python -m train.continual --phases causal math causal

After every phase accuracy is measured on all tasks. Forgetting is how far a task has fallen from its best phase;
transfer is what the tasks not met yet have gained. Every learner goes through the same phases with the same questions.
"""

import dataclasses
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, get_args

from reasoning_arena.train.config import Config, LearnerName
from reasoning_arena.train.errors import TrainingError
from reasoning_arena.train.phases import Phases
from reasoning_arena.train.records import Json
from reasoning_arena.train.rounds import new_replay
from reasoning_arena.train.studies import Study, command, markdown, share_and_error, write
from tqdm import tqdm

REPLAYED = "+replay"


@dataclass(frozen=True)
class Continual(Study):
    """Teach one task after another, and measure what is forgotten and what carries over."""

    phases: tuple[str, ...] = ("causal", "math", "causal")
    """The tasks, in the order in which they come."""
    episodes: int = 160
    """Questions in each phase."""
    variants: tuple[str, ...] = ("soft-prompt", "soft-prompt+replay", "per-task")
    """Learners; "+replay" goes over earlier questions too."""
    replay: int = 4
    """Earlier questions in each step of those."""


def run(study: Continual) -> tuple[Json, str]:
    """Put every variant through the phases with every seed."""
    if not study.phases or study.episodes < 1 or study.replay < 1:
        raise TrainingError("--phases, --episodes and --replay must not be empty or less than 1")
    tasks = tuple(dict.fromkeys(study.phases))
    results: Json = {"phases": list(study.phases), "variants": {}}
    configs = {variant: config_of(study, variant, tasks) for variant in study.variants}
    bar = tqdm(total=len(study.variants) * len(study.seeds) * len(study.phases), unit="phase", disable=None)
    for variant, config in configs.items():
        runs = []
        for seed in study.seeds:
            one = Phases(dataclasses.replace(config, seed=seed))
            replay = new_replay(config, study.replay, seed) if REPLAYED in variant else None
            curve = [one.accuracy()]
            unasked = set(tasks) - set(curve[0])
            if unasked:
                raise TrainingError(f"no held-out problem is of {', '.join(sorted(unasked))}; evaluate on more of them")
            for phase, task in enumerate(study.phases):
                bar.set_description(f"{variant}, seed {seed}, {task}")
                one.learn([task], study.episodes, phase, replay)
                curve.append(one.accuracy())
                bar.update()
            runs.append({"seed": seed, "accuracy": curve, **figures(study.phases, curve)})
            del one  # before another model is loaded
        results["variants"][variant] = runs
        write(study, results, table(study, results))
    bar.close()
    return results, table(study, results)


def config_of(study: Continual, variant: str, tasks: tuple[str, ...]) -> Config:
    """How a variant is trained.

    Raises:
        TrainingError: there is no such variant.
    """
    learner, _, rest = variant.partition(REPLAYED)
    if rest or learner not in get_args(LearnerName):
        raise TrainingError(f"variant {variant!r} is not known; give a learner, or one with {REPLAYED}")
    return study.config(tasks=tasks, learner=learner, loss="supervised", replay=0)


def figures(phases: Sequence[str], curve: Sequence[dict[str, float]]) -> dict[str, Any]:
    """Forgetting and transfer, from the accuracies by task before the first phase and after each one.

    Forgetting is the mean, over tasks and over the phases of other tasks after a task's first, of what it lost since
    the best of its earlier measurements from that first phase on; it is negative where other tasks help. Transfer is
    the mean gain of tasks that had not been met, since the beginning.
    """
    lost, gained = [], []
    for after, phase in enumerate(phases, 1):
        for task in dict.fromkeys(phases):
            met = task in phases[:after]
            if met and task != phase:
                first = phases.index(task) + 1
                lost.append(max(one[task] for one in curve[first:after]) - curve[after][task])
            elif not met:
                gained.append(curve[after][task] - curve[0][task])
    return {
        "forgetting": sum(lost) / len(lost) if lost else None,
        "transfer": sum(gained) / len(gained) if gained else None,
    }


def table(study: Continual, results: Json) -> str:
    """Mean accuracy on all tasks after each phase, forgetting and transfer."""
    head = ["learner", "start", *(f"{i}. {task}" for i, task in enumerate(study.phases, 1)), "forgetting", "transfer"]
    rows = []
    for variant, runs in results["variants"].items():
        shares = [share_and_error([run["accuracy"][i]["all"] for run in runs]) for i in range(len(study.phases) + 1)]
        kinds = []
        for name in ("forgetting", "transfer"):
            known = [run[name] for run in runs if run[name] is not None]
            kinds.append(share_and_error(known) if known else "–")
        rows.append([variant, *shares, *kinds])
    return markdown(head, rows)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    return command(Continual, run, "python -m train.continual", arguments)


if __name__ == "__main__":
    sys.exit(main())
