"""What a learner meets: what is gone over again, what counts more, and how hard it becomes."""

import pytest
from reasoning_arena.train.config import Config
from reasoning_arena.train.rounds import Lanes
from reasoning_arena.train.stream import Emphasis, Lesson, Progression, Replay


def test_replay_keeps_the_last_and_draws_evenly_from_tasks() -> None:
    replay = Replay(capacity=5, number=200, seed=0)
    assert replay.draw() == []
    easy = [Lesson(f"question {i}", "math", (i, 2)) for i in range(8)]
    hard = Lesson("another", "sequence", (9, 2))
    replay.add([*easy, hard])
    drawn = replay.draw()
    assert len(drawn) == 200
    assert set(drawn) == {*easy[3:], hard}
    assert 70 < drawn.count(hard) < 130


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
