"""Federated averaging: clients that share no question learn one soft prompt by sharing only what they learnt.

python -m train.federated --clients 5

Each client has tasks of its own. In a round all clients start from the same soft prompt, learn some episodes each, and
the mean of what they have then is the next start (FedAvg, 1602.05629). Beside it, one learner that sees all questions.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from reasoning_arena.train.errors import TrainingError
from reasoning_arena.train.phases import Phases, mean_state
from reasoning_arena.train.records import Json
from reasoning_arena.train.studies import Study, command, markdown, share_and_error, write
from tqdm import tqdm

WAYS = "federated", "central"


@dataclass(frozen=True)
class Federated(Study):
    """Average what several clients learn, each from tasks of its own, and compare with one learner of all of them."""

    clients: int = 5
    """How many; the tasks are dealt out to them in turn."""
    rounds: int = 6
    """How often they meet."""
    episodes: int = 32
    """Questions that each client learns from between two meetings."""


def run(study: Federated) -> tuple[Json, str]:
    """Both ways with every seed, with equally many questions."""
    tasks = study.training.tasks
    if not 1 <= study.clients <= len(tasks):
        raise TrainingError(
            f"--clients {study.clients} is not allowed; give 1 to {len(tasks)}, so that each has a task"
        )
    if study.rounds < 1 or study.episodes < 1:
        raise TrainingError("--rounds and --episodes must be at least 1")
    config = study.config().resolved()
    if study.episodes % config.batch_size:
        raise TrainingError(
            f"--episodes {study.episodes} is no multiple of the {config.batch_size} questions of a batch; clients "
            "would learn from more of them than one learner of all does"
        )
    if len(tasks) % study.clients:
        raise TrainingError(f"{len(tasks)} tasks cannot be dealt out evenly to {study.clients} clients")
    dealt = [tasks[client :: study.clients] for client in range(study.clients)]
    results: Json = {"clients": [list(some) for some in dealt], "runs": []}
    bar = tqdm(total=len(study.seeds) * study.rounds * 2, unit="round", disable=None)
    for seed in study.seeds:
        one = Phases(study.config(seed=seed))
        start = one.state
        averaged = [one.accuracy()]
        for meeting in range(study.rounds):
            shared, learnt = one.state, []
            for client, own in enumerate(dealt):
                one.state = shared
                one.learn(own, study.episodes, meeting * study.clients + client)
                learnt.append(one.state)
            one.state = mean_state(learnt)
            averaged.append(one.accuracy())
            bar.update()
        one.state, central = start, averaged[:1]
        for meeting in range(study.rounds):
            one.learn(tasks, study.episodes * study.clients, meeting)
            central.append(one.accuracy())
            bar.update()
        results["runs"].append({"seed": seed, "federated": averaged, "central": central})
        del one  # before another model is loaded
        write(study, results, table(results))
    bar.close()
    return results, table(results)


def table(results: Json) -> str:
    """Mean accuracy after each round."""
    runs = results["runs"]
    rounds = range(len(runs[0]["central"]))
    rows = [[way, *(share_and_error([one[way][i]["all"] for one in runs]) for i in rounds)] for way in WAYS]
    return markdown(["", *(f"round {i}" for i in rounds)], rows)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    return command(Federated, run, "python -m train.federated", arguments)


if __name__ == "__main__":
    sys.exit(main())
