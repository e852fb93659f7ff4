"""Meta-learning: a soft prompt from which an unseen task is learnt in few episodes (Reptile, 1803.02999).

python -m train.meta --unseen math --save runs/mine

Again and again one of the other tasks is learnt for some episodes, and the start moves a share of the way to where that
led. What came out is then compared on the unseen task with the start that was not trained on anything.
"""

import dataclasses
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from reasoning_arena.train.checkpoint import STATE, save_checkpoint
from reasoning_arena.train.errors import TrainingError
from reasoning_arena.train.phases import Phases, towards
from reasoning_arena.train.records import Json
from reasoning_arena.train.studies import Study, command, markdown, share_and_error, write
from tqdm import tqdm

STARTS = "plain start", "meta-learnt start"


@dataclass(frozen=True)
class Meta(Study):
    """Learn a start from which an unseen task is learnt in few episodes, and compare it with the plain start."""

    unseen: str = "math"
    """The task that is kept out of meta-learning."""
    steps: int = 24
    """How often a task is learnt and the start is moved."""
    episodes: int = 32
    """Questions of each of those."""
    share: float = 0.5
    """How far the start is moved towards what was learnt, at first; it falls to nothing evenly."""
    adapt: tuple[int, ...] = (0, 16, 32, 64)
    """After so many questions of the unseen task its accuracy is measured."""
    save: Path | None = None
    """A checkpoint folder for the last seed's start; with the plain soft prompt, --init-from takes it."""


def run(study: Meta) -> tuple[Json, str]:
    """Meta-learn and adapt with every seed."""
    seen = tuple(task for task in study.training.tasks if task != study.unseen)
    if not seen or study.steps < 1 or study.episodes < 1 or not 0 < study.share <= 1:
        raise TrainingError("meta-learning needs another task than --unseen, steps, episodes, and a share up to 1")
    if sorted(set(study.adapt)) != list(study.adapt) or study.adapt[:1] < (0,):
        raise TrainingError("--adapt must be rising numbers of at least 0")
    batch = study.config().resolved().batch_size
    if any(episodes % batch for episodes in (study.episodes, *study.adapt)):
        raise TrainingError(f"--episodes and --adapt must be multiples of the {batch} questions of a batch")
    if study.save is not None and study.save.exists() and not (study.save / STATE).exists():
        raise TrainingError(f"--save {study.save} is there, and no checkpoint; name another folder")
    results: Json = {"unseen": study.unseen, "seen": list(seen), "runs": []}
    bar = tqdm(total=len(study.seeds) * study.steps, unit="task", disable=None)
    for seed in study.seeds:
        config = study.config(seed=seed)
        one = Phases(dataclasses.replace(config, tasks=(*seen, study.unseen)))
        target = one.evaluator_of(tasks=(study.unseen,))
        plain = one.state
        order = torch.Generator().manual_seed(seed)
        for step in range(study.steps):
            start = one.state
            one.learn([seen[int(torch.randint(len(seen), (1,), generator=order))]], study.episodes, step)
            one.state = towards(start, one.state, study.share * (1 - step / study.steps))
            bar.update()
        learnt = one.state
        if study.save is not None:
            save_checkpoint(study.save, one.policy.soft_prompt, one.lm, {})
        row: Json = {"seed": seed}
        for name, begin in zip(STARTS, (plain, learnt), strict=True):
            row[name] = []
            for episodes in study.adapt:  # each time from the start, with a schedule of its own
                one.state = begin
                if episodes:
                    one.learn([study.unseen], episodes, study.steps)  # both starts meet the same questions
                row[name].append(one.accuracy(target)["all"])
        results["runs"].append(row)
        del one, target  # before another model is loaded
        write(study, results, table(study, results))
    bar.close()
    return results, table(study, results)


def table(study: Meta, results: Json) -> str:
    """Mean accuracy on the unseen task from both starts."""
    rows = [
        [name, *(share_and_error([one[name][i] for one in results["runs"]]) for i in range(len(study.adapt)))]
        for name in STARTS
    ]
    return markdown([f"{study.unseen} after", *(f"{n} episodes" for n in study.adapt)], rows)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    return command(Meta, run, "python -m train.meta", arguments)


if __name__ == "__main__":
    sys.exit(main())
