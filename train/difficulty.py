"""How hard each difficulty is for a learner: taught a task at difficulty 1, asked at every difficulty.

python -m train.difficulty --tasks math grid

Accuracy alone says little where the model is right about nothing, so the worked solutions' improbability is shown
beside it: how many nats it would take to say one, ``−log π(solution | question)``, on average.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from reasoning_arena.envs.task import DIFFICULTIES, REGISTRY
from reasoning_arena.train.errors import TrainingError
from reasoning_arena.train.held_out import Exchange
from reasoning_arena.train.phases import Phases
from reasoning_arena.train.records import Json
from reasoning_arena.train.studies import Study, command, markdown, mean_and_error, write
from tqdm import tqdm


@dataclass(frozen=True)
class Difficulty(Study):
    """Teach every task at difficulty 1; measure what is right, and how improbable solutions are, at all of them."""

    tasks: tuple[str, ...] = tuple(REGISTRY)
    """Which ones; each is taught by itself."""
    episodes: int = 160
    """Questions that each is taught by."""
    problems: int = 64
    """Held-out problems of each difficulty."""
    answer_tokens: int = 160
    """The longest answer, in tokens; solutions of hard problems are long."""


def run(study: Difficulty) -> tuple[Json, str]:
    """Teach and ask every task with every seed."""
    if not study.tasks or study.episodes < 1:
        raise TrainingError("--tasks and --episodes must not be empty or less than 1")
    results: Json = {"difficulties": list(DIFFICULTIES), "episodes": study.episodes, "problems": study.problems}
    results["tasks"] = {}
    bar = tqdm(total=len(study.tasks) * len(study.seeds), unit="task", disable=None)
    for seed in study.seeds:
        config = study.config(
            tasks=study.tasks, difficulty=1, seed=seed, eval_episodes=study.problems, max_new_tokens=study.answer_tokens
        )
        one = Phases(config)
        start = one.state
        for task in study.tasks:
            bar.set_description(task)
            one.state = start
            one.learn([task], study.episodes, stretch=0)
            levels = [one.evaluator_of(tasks=(task,), difficulty=level)(one.policy) for level in DIFFICULTIES]
            results["tasks"].setdefault(task, []).append(
                {
                    "seed": seed,
                    "accuracy": [level.accuracy for level in levels],
                    "nats": [improbability(one, level.exchanges) for level in levels],
                }
            )
            bar.update()
            write(study, results, table(results))
        del one  # before another model is loaded
    bar.close()
    return results, table(results)


@torch.no_grad()
def improbability(one: Phases, exchanges: Sequence[Exchange]) -> float:
    """Mean of ``−log π(solution | question)`` in nats."""
    total, size = 0.0, one.policy.language_model.decoded_together
    for begin in range(0, len(exchanges), size):
        some = exchanges[begin : begin + size]
        solutions = [one.policy.encoder.completion_ids(exchange.solution) for exchange in some]
        scored = one.policy.score([exchange.question for exchange in some], solutions, tasks=[e.task for e in some])
        total -= float(scored.logprobs.sum())
    return total / len(exchanges)


def table(results: Json) -> str:
    """Means over the seeds: accuracy, and nats beside it."""
    rows = []
    for task, runs in results["tasks"].items():
        cells = []
        for i in range(len(results["difficulties"])):
            right, nats = (mean_and_error([run[name][i] for run in runs])[0] for name in ("accuracy", "nats"))
            cells.append(f"{right:.0%} · {nats:.1f}")
        rows.append([task, *cells])
    return markdown(["right · nats", *(f"difficulty {level}" for level in results["difficulties"])], rows)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    return command(Difficulty, run, "python -m train.difficulty", arguments)


if __name__ == "__main__":
    sys.exit(main())
