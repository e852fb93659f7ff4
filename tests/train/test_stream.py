"""What a learner meets: what is gone over again, what counts more, and how hard it becomes."""

from collections import Counter

import pytest
import torch
from reasoning_arena.train.config import Config
from reasoning_arena.train.rounds import Lanes
from reasoning_arena.train.stream import Emphasis, Lesson, Progression, Replay


def drawn(replay: Replay, times: int) -> Counter[Lesson]:
    return Counter(lesson for _ in range(times) for lesson in replay.draw())


def test_replay_keeps_the_last_and_draws_evenly_from_tasks() -> None:
    replay = Replay(capacity=5, number=1, seed=0)
    assert replay.draw() == []
    easy = [Lesson(f"question {i}", "math", (i, 2)) for i in range(8)]
    hard = Lesson("another", "sequence", (9, 2))
    replay.remember([*easy, hard], torch.full((9,), -3.0))
    counts = drawn(replay, 200)
    assert set(counts) == {*easy[3:], hard}
    assert 70 < counts[hard] < 130
    replay.number = 50
    assert sorted(replay.draw()) == sorted([*easy[3:], hard])  # each of them once


def test_what_is_gone_over_again_stays_as_old_as_it_is() -> None:
    a, b, c = (Lesson(f"question {i}", "math", (i, 2)) for i in range(3))
    replay = Replay(capacity=2, number=1, seed=0)
    replay.remember([a, b], torch.full((2,), -1.0))
    replay.remember([c, a], torch.full((2,), -1.0))  # a makes room
    assert list(replay.kept["math"]) == [b, c]


def test_prioritized_replay_draws_what_is_likely_to_be_missed() -> None:
    lessons = [Lesson(f"question {i}", task, (i, 2)) for i, task in enumerate(["math", "math", "grid", "grid"])]
    replay = Replay(capacity=5, number=1, seed=0, prioritized=True)
    replay.remember(lessons, torch.tensor([0.95, 0.95, 0.95, 0.05]).log())  # missed: 0.1, 0.1; 0.1, 1.0
    counts = drawn(replay, 600)
    assert 0.65 < counts[lessons[3]] / 600 < 0.88  # 1.0 of 1.3
    replay.remember(lessons[3:], torch.tensor([0.95]).log())  # learnt since; still kept once
    assert 0.18 < drawn(replay, 600)[lessons[3]] / 600 < 0.32
    again = Replay(capacity=5, number=1, seed=1, prioritized=True)
    again.load_state_dict(replay.state_dict())
    assert [again.draw() for _ in range(20)] == [replay.draw() for _ in range(20)]


def test_emphasis_is_on_what_goes_badly() -> None:
    emphasis = Emphasis(active=True)
    for _ in range(100):
        emphasis.note(["math", "grid"], [True, False])
    easy, hard, new = emphasis.factors(["math", "grid", "causal"]).tolist()
    assert easy < 0.6
    assert hard > 1.4
    assert new == 1
    assert (easy + hard) / 2 == pytest.approx(1)
    assert Emphasis(active=False).factors(["math"]).tolist() == [1]


def test_difficulty_climbs_for_all_environments_alike() -> None:
    config = Config(batch_size=4, tasks=("math", "grid"), difficulty=3, curriculum=True).resolved()
    progression = Progression(config.tasks, 3)
    first, second = Lanes(config, progression), Lanes(config, progression)
    asked, levels = [], []
    for _ in range(30):
        asked.append(list(first.questions))
        told = first.answer([""] * 4)[1]
        levels.append(told["difficulty"].tolist())
        progression.note(told["task"].tolist(), [task == "math" for task in told["task"]])
    for questions in asked:
        assert list(second.questions) == questions
        second.answer([""] * 4)
    assert levels[0] == [1] * 4
    assert progression.levels(30) == {"math": 3, "grid": 1}
    assert max(max(row) for row in levels) == 3
