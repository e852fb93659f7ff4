"""What a learner meets: how hard the questions are, how much each of them counts, and what is gone over again.

All three follow from the answers and how likely they were, so equal seeds give equal runs, and all three are saved with
a run.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from reasoning_arena.envs.curriculum import Ladder
from reasoning_arena.train import distributed

Levels = dict[str, int] | None
NEVER_SURE = 0.05  # added to the chance that something is missed


class Lesson(NamedTuple):
    """One thing to go over again: a question, its task, and the tokens of an answer worth repeating."""

    question: str
    task: str
    completion: tuple[int, ...]


class Replay:
    """The last answers worth repeating, from which each step draws some.

    Tasks are drawn evenly, so one at which answers are seldom worth repeating is gone over as often as any other, as
    far as it has that many, since a step draws nothing twice; or, prioritized, in proportion to how likely their
    lessons were to be missed when they were last scored, on average, and so is each of a task's lessons (after
    prioritized experience replay, 1511.05952). All processes of a run keep the same ones and draw the same, and each
    goes over its share of them; the draw is as large as divides by them.

    Args:
        capacity: how many are kept of each task.
        number: how many a step draws.
        seed: of the draws.
        prioritized: whether what is likely to be missed is drawn more often.
    """

    def __init__(self, capacity: int, number: int, seed: int, *, prioritized: bool = False) -> None:
        self.capacity, self.number, self.prioritized = capacity, number, prioritized
        self.kept: dict[str, dict[Lesson, float]] = {}  # by task; with the chance that it is missed, the oldest first
        self.generator = torch.Generator().manual_seed(seed)

    def draw(self) -> list[Lesson]:
        """What this process goes over again in a step, each of it once; as many as there are where those are fewer."""
        lessons = [lesson for some in self.kept.values() for lesson in some]
        number = min(self.number, len(lessons))
        number -= number % distributed.size()
        if not number:
            return []
        chances = [
            (missed if self.prioritized else 1.0) / len(some) for some in self.kept.values() for missed in some.values()
        ]
        drawn = torch.multinomial(torch.tensor(chances, dtype=torch.double), number, generator=self.generator)
        return [lessons[i] for i in drawn.tolist()][distributed.share(number)]

    def remember(self, lessons: Sequence[Lesson], logprobs: torch.Tensor) -> None:
        """Keep these and those of the other processes, all of which have to call this; the oldest make room.

        Args:
            lessons: new ones, and those gone over again, of which only the chance is new.
            logprobs: of their completions, ``[N]``.
        """
        if self.number:
            missed = (NEVER_SURE - torch.expm1(logprobs.double())).tolist()
            rated = [one for some in distributed.gathered(list(zip(lessons, missed, strict=True))) for one in some]
            # What is kept first, before new ones take its place: else it would come back as if it were new.
            self._keep(sorted(rated, key=lambda one: one[0] not in self.kept.get(one[0].task, {})))

    def _keep(self, rated: Sequence[tuple[Lesson, float]]) -> None:
        for lesson, missed in rated:
            kept = self.kept.setdefault(lesson.task, {})
            if lesson not in kept and len(kept) == self.capacity:
                del kept[next(iter(kept))]
            kept[lesson] = missed

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs."""
        kept = [(tuple(lesson), missed) for some in self.kept.values() for lesson, missed in some.items()]
        return {"kept": kept, "generator": self.generator.get_state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved state."""
        self.kept.clear()
        self._keep([(Lesson(*lesson), missed) for lesson, missed in state["kept"]])
        self.generator.set_state(state["generator"])


class Emphasis:
    """How much a question counts: more where its task goes badly, less where it goes well, 1 on average.

    A question's loss is multiplied by ``1.5 − success`` of its task, divided by the mean of that over all tasks met.
    For Adam at a given batch this is a learning rate that is higher on hard tasks than on easy ones.

    Args:
        active: whether anything is weighted at all.
    """

    MEMORY = 0.95  # of the running success

    def __init__(self, active: bool) -> None:
        self.active = active
        self.success: dict[str, float] = {}

    def note(self, tasks: Sequence[str], right: Sequence[bool]) -> None:
        """Remember how questions went."""
        for task, one in zip(tasks, right, strict=True):
            self.success[task] = self.MEMORY * self.success.get(task, 0.0) + (1 - self.MEMORY) * bool(one)

    def factors(self, tasks: Sequence[str]) -> torch.Tensor:
        """What each question's loss is multiplied by, ``[N]``."""
        if not self.active:
            return torch.ones(len(tasks))
        mean = sum(1.5 - one for one in self.success.values()) / max(1, len(self.success)) or 1.0
        return torch.tensor([(1.5 - self.success[task]) / mean if task in self.success else 1.0 for task in tasks])


class Progression:
    """The difficulty of every round's questions: as it is, or climbing with success, task by task.

    Several environments ask the same questions at different times; whoever asks for a round's levels first settles them
    for all.

    Args:
        tasks: their names.
        high: the highest difficulty; None where questions stay as the environment has them.
    """

    def __init__(self, tasks: Sequence[str], high: int | None) -> None:
        self.ladder = None if high is None else Ladder(tasks, 1, high)
        self.history: list[Levels] = []

    def levels(self, round_number: int) -> Levels:
        """The difficulty of each task in a round, None for the environment's own."""
        if self.ladder is None:
            return None
        while len(self.history) <= round_number:
            self.history.append(dict(self.ladder.levels))
        return self.history[round_number]

    def note(self, tasks: Sequence[str], right: Sequence[bool]) -> None:
        """Count how questions went."""
        if self.ladder is not None:
            for task, one in zip(tasks, right, strict=True):
                self.ladder.count(task, bool(one))

    def figures(self) -> dict[str, float]:
        """The levels by TensorBoard tag."""
        if self.ladder is None:
            return {}
        return {f"curriculum/{task}": float(level) for task, level in self.ladder.levels.items()}

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs."""
        if self.ladder is None:
            return {}
        recent = {task: list(answers) for task, answers in self.ladder.recent.items()}
        return {"history": self.history, "levels": dict(self.ladder.levels), "recent": recent}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved state."""
        if self.ladder is not None:
            self.history = state["history"]
            self.ladder.levels = dict(state["levels"])
            for task, answers in state["recent"].items():
                self.ladder.recent[task].extend(answers)


class Stream:
    """The three of them as one run has them."""

    def __init__(self, replay: Replay, emphasis: Emphasis, progression: Progression) -> None:
        self.replay, self.emphasis, self.progression = replay, emphasis, progression

    @property
    def follows_success(self) -> bool:
        """Whether what comes next depends on how the last questions went."""
        return self.emphasis.active or self.progression.ladder is not None

    def note(self, tasks: Sequence[str], right: Sequence[bool]) -> None:
        """Learn how questions went, before anything was learnt from them."""
        self.emphasis.note(tasks, right)
        self.progression.note(tasks, right)

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs."""
        return {
            "replay": self.replay.state_dict(),
            "success": dict(self.emphasis.success),
            "progression": self.progression.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved state."""
        self.replay.load_state_dict(state["replay"])
        self.emphasis.success = dict(state["success"])
        self.progression.load_state_dict(state["progression"])
