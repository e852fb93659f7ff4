"""What is asked and how often: weights, difficulties by task, curricula, other people's data sets, exported splits."""

import json
import sys
from collections import Counter
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from reasoning_arena.envs import ArenaError, ProblemSource, ReasoningArenaEnv
from reasoning_arena.envs.curriculum import Curriculum
from reasoning_arena.envs.export import main as export


def test_weights_are_shares() -> None:
    source = ProblemSource(("math", "grid", "causal"), 1, "train", weights=(6, 0, 2))
    counts = Counter(problem.task for problem in islice(source.stream(0), 2000))
    assert counts["grid"] == 0
    assert abs(counts["math"] / 2000 - 0.75) < 0.04


@pytest.mark.parametrize(
    "weights", [(), (1,), 5, (1, -1), (0, 0), (1, float("nan")), ("a", 1), (True, 1), (1e308, 1e308)]
)
def test_weights_that_do_not_match_are_refused(weights: Any) -> None:
    with pytest.raises(ArenaError, match="give 2 numbers of at least 0, not all 0"):
        ProblemSource(("math", "grid"), 1, "train", weights=weights)


def test_numbers_of_numpy_are_numbers() -> None:
    source = ProblemSource(("math", "grid"), np.int64(2), "train", weights=(np.float64(1), np.int64(0)))  # type: ignore[arg-type]
    assert {(problem.task, problem.difficulty) for problem in islice(source.stream(0), 20)} == {("math", 2)}
    assert ReasoningArenaEnv(max_attempts=np.int64(2), correct_reward=np.float32(2)).max_attempts == 2  # type: ignore[arg-type]


def test_held_out_phrasings_are_nobody_elses() -> None:
    usual, unusual = (
        gym.make("ReasoningArena/Causal-v0", split="test", held_out_phrasings=held_out) for held_out in (False, True)
    )
    assert all("What is the last thing" in unusual.reset(seed=seed)[0] for seed in range(20))
    assert not any("What is the last thing" in usual.reset(seed=seed)[0] for seed in range(50))


def test_a_question_of_another_difficulty() -> None:
    env = gym.make("ReasoningArena-v0", tasks=("math", "grid"))
    asked = {}
    for seed in range(20):
        info = env.reset(seed=seed, options={"difficulty": {"math": 4, "grid": 2}})[1]
        asked[info["task"]] = info["difficulty"]
    assert asked == {"math": 4, "grid": 2}
    assert env.reset(seed=0)[1]["difficulty"] == 1
    for wrong in ({"math": 4}, {"math": 4, "grid": 9}, 6, "hard"):
        with pytest.raises(ArenaError):
            env.reset(options={"difficulty": wrong})


def play(env: Curriculum, episodes: int, clever: set[str]) -> list[tuple[str, Any]]:
    """Answer rightly in some tasks, and note what the curriculum says."""
    arena, history = env.unwrapped, []
    assert isinstance(arena, ReasoningArenaEnv)
    question, info = env.reset(seed=3)
    for _ in range(episodes):
        assert arena._episode is not None
        gold = arena._episode.problem.posed.answer
        info = env.step(gold if info["task"] in clever else "")[4]
        history.append((question, info["curriculum"]))
        question, info = env.reset()
    return history


def test_a_curriculum_follows_success_task_by_task() -> None:
    def env() -> Curriculum:
        return Curriculum(gym.make("ReasoningArena-v0", tasks=("math", "grid")), high=4, window=5)

    history = play(env(), 200, {"math"})
    last = history[-1][1]
    assert last["math"]["difficulty"] == 4
    assert last["grid"] == {"difficulty": 1, "success": 0.0}
    assert history == play(env(), 200, {"math"})


def test_a_curriculum_goes_down_again() -> None:
    env = Curriculum(gym.make("ReasoningArena/Math-v0"), window=4)
    play(env, 20, {"math"})
    before = env.ladder.levels["math"]
    assert before > 2
    for _ in range(12):
        env.step("")
        env.reset()
    assert env.ladder.levels["math"] < before
    env.reset(seed=1)
    assert env.ladder.levels == {"math": 1}


@pytest.mark.parametrize(
    "arguments",
    [
        {"low": 0},
        {"low": "1"},
        {"low": 3, "high": 2},
        {"window": 0},
        {"window": 2.5},
        {"raise_at": 0.2},
        {"lower_at": None},
    ],
)
def test_a_curriculum_that_makes_no_sense_is_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(ArenaError, match="not allowed"):
        Curriculum(gym.make("ReasoningArena-v0"), **arguments)


def test_a_data_set_of_reasoning_gym_is_a_task() -> None:
    pytest.importorskip("reasoning_gym")
    name = "reasoning_gym:leg_counting"
    texts = []
    for split in ("train", "test"):
        source = ProblemSource(name, 1, split)
        problems = list(islice(source.stream(0), 50))
        texts.append({problem.posed.question for problem in problems})
        assert all(problem.posed.answer_type == "integer" for problem in problems)
    assert not texts[0] & texts[1]
    env = gym.make("ReasoningArena-v0", tasks=(name,))
    env.reset(seed=0)
    gold = env.step("?")[4]["gold_answer"]
    env.reset(seed=0)
    assert env.step(f"There are {gold} legs.")[1] == 1.0
    with pytest.raises(ArenaError, match="not registered"):
        ProblemSource("reasoning_gym:nope", 1, "train")


def test_a_data_set_that_lists_its_items_beforehand_fits_in_memory() -> None:
    pytest.importorskip("reasoning_gym")
    problem = next(ProblemSource("reasoning_gym:gsm_symbolic", 1, "test").stream(0))
    assert problem.posed.answer_type == "integer"


def test_a_split_as_json_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "test.jsonl"
    assert export(["--split", "test", "--problems", "40", "--difficulty", "1", "3", "--out", str(out)]) == 0
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert len({row["question"] for row in rows}) == 40
    assert {row["split"] for row in rows} == {"test"}
    assert {row["difficulty"] for row in rows} == {1, 2, 3}
    assert export(["--out", str(out)]) == 2  # nothing is written over
    assert export(["--out", str(tmp_path / "nowhere" / "test.jsonl")]) == 2
    assert export(["--tasks", "nope", "--out", str(tmp_path / "no.jsonl")]) == 2
    assert export(["--problems", "9", "--out", str(tmp_path / "missing" / "no.jsonl")]) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["test.jsonl"]


@pytest.mark.parametrize("full", [False, True])
def test_a_split_as_a_data_set_is_whole_or_not_there(
    full: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Dataset(list[dict[str, Any]]):  # what the export uses of the package datasets
        def save_to_disk(self, path: Path) -> None:
            path.mkdir()
            (path / "data").write_text(str(len(self)))
            if full:
                raise OSError("no space left on device")

    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(Dataset=SimpleNamespace(from_list=Dataset)))
    assert export(["--problems", "9", "--out", str(tmp_path / "set")]) == (2 if full else 0)
    if full:
        assert capsys.readouterr().err == "error: no space left on device\n"
        assert not list(tmp_path.iterdir())
    else:
        assert [path.name for path in tmp_path.iterdir()] == ["set"]
        assert (tmp_path / "set" / "data").read_text() == "9"
