"""Gymnasium's rules, the vector environment, and what users may send."""

import subprocess
import sys
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env, data_equivalence
from gymnasium.vector import AutoresetMode
from hypothesis import given, settings
from hypothesis import strategies as st
from reasoning_arena.envs import ArenaError, ReasoningArenaEnv, ReasoningArenaVectorEnv, environment_ids
from reasoning_arena.envs.curriculum import Curriculum
from reasoning_arena.envs.wrappers import ByteCodes

IDS = list(environment_ids())


@pytest.mark.parametrize("env_id", IDS)
@pytest.mark.parametrize("arguments", [{}, {"max_attempts": 3, "difficulty": (1, 5)}, {"split": "test"}])
def test_gymnasium_finds_nothing_to_complain_of(env_id: str, arguments: dict[str, object]) -> None:
    check_env(gym.make(env_id, render_mode="ansi", **arguments).unwrapped)  # type: ignore[arg-type]


def test_specification_is_json() -> None:
    env = gym.make("ReasoningArena-v0", tasks=("math",), difficulty=(1, 2))
    assert env.spec is not None
    again = gym.make(gym.envs.registration.EnvSpec.from_json(env.spec.to_json()))
    assert again.reset(seed=1)[0] == env.reset(seed=1)[0]


def test_a_step_pays_and_tells() -> None:
    env = gym.make("ReasoningArena-v0", correct_reward=2.0, incorrect_reward=-0.5)
    question, info = env.reset(seed=3)
    assert isinstance(question, str)
    assert "gold_answer" not in info
    _, reward, terminated, truncated, told = env.step("no idea")
    assert (reward, terminated, truncated, told["correct"], told["answer"]) == (-0.5, True, False, False, None)
    env.reset(seed=3)
    _, reward, terminated, _, told = env.step(told["gold_answer"])
    assert (reward, terminated, told["correct"]) == (2.0, True, True)
    assert told["solution"].endswith(told["gold_answer"])
    with pytest.raises(gym.error.ResetNeeded):
        env.step("9")


def test_several_attempts_say_what_was_wrong_and_hide_the_gold_answer() -> None:
    env = gym.make("ReasoningArena/Math-v0", max_attempts=3)
    question, _ = env.reset(seed=0)
    observation, reward, terminated, _, info = env.step("-5")
    assert observation.startswith(question)
    assert "-5 is wrong" in observation
    assert not terminated
    assert reward == -1
    assert "gold_answer" not in info
    assert "solution" not in info
    observation, *_ = env.step("hm")
    assert "No answer could be read" in observation
    *_, terminated, _, info = env.step("-6")
    assert terminated
    env.reset(seed=0)
    env.step("-5")
    _, reward, terminated, _, _ = env.step(info["gold_answer"])
    assert (reward, terminated) == (1, True)


@settings(max_examples=60, deadline=None)
@given(st.text(st.characters(), max_size=200), st.integers(1, 3))
def test_any_text_is_a_legal_answer(text: str, attempts: int) -> None:
    env = ReasoningArenaEnv(max_attempts=attempts, render_mode="ansi")
    env.reset(seed=0)
    observation, *_ = env.step(text)
    assert observation in env.observation_space
    assert isinstance(env.render(), str)


@pytest.mark.parametrize("text", ["x" * 1_000_000, "\x00" * 1000, "\ud800", "\u202e9\u202c", "9" * 100_000])
def test_absurd_answers(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    env = ReasoningArenaEnv("math", max_attempts=2, render_mode="human")
    env.reset(seed=0)
    observation, reward, *_ = env.step(text)
    assert observation in env.observation_space
    assert reward == -1
    assert len(capsys.readouterr().out) < 10_000


def test_an_action_that_is_no_text_is_refused() -> None:
    env = ReasoningArenaEnv()
    env.reset(seed=0)
    with pytest.raises(TypeError, match="str"):
        env.step(9)  # type: ignore[arg-type]
    vector = ReasoningArenaVectorEnv(2)
    vector.reset(seed=0)
    with pytest.raises(TypeError, match="str"):
        vector.step((9, 9))  # type: ignore[arg-type]
    with pytest.raises(ArenaError, match="one answer for each"):
        vector.step("99")
    with pytest.raises(ArenaError, match="one answer for each"):
        vector.step(answer for answer in "99")  # type: ignore[arg-type]
    with pytest.raises(ArenaError, match="seed"):
        vector.reset(seed=1.5)  # type: ignore[arg-type]
    for difficulty in ((1, 3), {1: 2, "math": 3}, 9):
        with pytest.raises(ArenaError, match="difficulty"):
            env.reset(options={"difficulty": difficulty})
    with pytest.raises(ArenaError, match="human"):
        ReasoningArenaVectorEnv(2, render_mode="human")
    codes = ByteCodes(env)
    codes.reset(seed=0)
    with pytest.raises(ArenaError, match="0 to 95"):
        codes.step(np.full(16, 96))
    with pytest.raises(ArenaError, match="integers"):
        codes.step(np.full(16, 65.7))  # type: ignore[arg-type]
    with pytest.raises(ArenaError, match="lengths"):
        ByteCodes(env, 16.5)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "arguments",
    [
        {"max_attempts": 0},
        {"max_attempts": "2"},
        {"correct_reward": "1"},
        {"correct_reward": None},
        {"incorrect_reward": float("nan")},
        {"correct_reward": float("nan")},
        {"correct_reward": -1.0},
        {"render_mode": "rgb_array"},
        {"split": "x"},
        {"tasks": [["math"]]},
        {"correct_reward": 10**400},
    ],
)
def test_wrong_arguments(arguments: dict[str, object]) -> None:
    with pytest.raises(ArenaError):
        ReasoningArenaEnv(**arguments)  # type: ignore[arg-type]
    with pytest.raises(ArenaError):
        ReasoningArenaVectorEnv(2, **arguments)  # type: ignore[arg-type]


def _vector(mode: str, n: int, attempts: int) -> gym.vector.VectorEnv:  # type: ignore[type-arg]
    if mode == "own":
        return gym.make_vec("ReasoningArena-v0", num_envs=n, max_attempts=attempts)
    arguments: dict[str, object] = {"autoreset_mode": AutoresetMode.SAME_STEP}
    if mode == "async":
        arguments["shared_memory"] = False
    return gym.make_vec(
        "ReasoningArena-v0", num_envs=n, max_attempts=attempts, vectorization_mode=mode, vector_kwargs=arguments
    )


@pytest.mark.parametrize("attempts", [1, 2])
@pytest.mark.parametrize("mode", ["sync", "async"])
def test_the_vector_environment_equals_gymnasiums(mode: str, attempts: int) -> None:
    ours, theirs = _vector("own", 3, attempts), _vector(mode, 3, attempts)
    observations, infos = ours.reset(seed=11)
    expected, expected_infos = theirs.reset(seed=11)
    assert observations == tuple(expected)
    assert data_equivalence(infos, expected_infos)
    for step in range(12):
        actions = tuple(options[step % len(options)] if options else str(step) for options in infos["candidates"])
        *got, infos = ours.step(actions)
        *want, want_infos = theirs.step(actions)
        assert got[0] == tuple(want[0])
        for a, b in zip(got[1:], want[1:], strict=True):
            assert (a == b).all()
        assert data_equivalence(infos, want_infos)
    theirs.close()


def test_lanes_equal_single_environments() -> None:
    vector = ReasoningArenaVectorEnv(4, difficulty=(1, 5))
    singles = [gym.make("ReasoningArena-v0", difficulty=(1, 5)) for _ in range(4)]
    observations, _ = vector.reset(seed=5)
    assert list(observations) == [env.reset(seed=5 + i)[0] for i, env in enumerate(singles)]
    for _ in range(20):
        observations, *_ = vector.step(("Bob",) * 4)
        for env in singles:
            env.step("Bob")
        assert list(observations) == [env.reset()[0] for env in singles]


@pytest.mark.parametrize("n", [0, 1.5, "2", None, True])
def test_lanes_are_counted_in_integers(n: Any) -> None:
    with pytest.raises(ArenaError, match="num_envs"):
        ReasoningArenaVectorEnv(n)


def test_some_lanes_can_be_reset_alone() -> None:
    vector = ReasoningArenaVectorEnv(3)
    before, _ = vector.reset(seed=0)
    after, infos = vector.reset(options={"reset_mask": np.array([True, False, False])})
    assert before[0] != after[0]
    assert before[1:] == after[1:]
    assert infos["_task"].tolist() == [True, False, False]
    with pytest.raises(ArenaError, match="for 3 lanes"):
        vector.reset(seed=[1, 2])


def test_lanes_that_are_not_reset_observe_what_they_did() -> None:
    ours, theirs = (_vector(mode, 2, 2) for mode in ("own", "sync"))
    for mask in ((True, False), (False, True), (False, False)):
        for vector in (ours, theirs):
            vector.reset(seed=0)
        said = ours.step(("x", "x"))[0]
        assert said == tuple(theirs.step(("x", "x"))[0])
        options = {"reset_mask": np.array(mask)}
        observations = ours.reset(options=options)[0]
        assert [again == before for again, before in zip(observations, said, strict=True)] == [not m for m in mask]
        if any(mask):  # Gymnasium's own takes no empty mask
            assert observations == tuple(theirs.reset(options=options)[0])
    vector = ReasoningArenaVectorEnv(2, render_mode="ansi", max_attempts=2)
    assert vector.render() is None
    vector.reset(seed=0)
    assert vector.step(("x", "x"))[0] == vector.render()


def test_an_unknown_reset_option_is_refused() -> None:
    for env, allowed in ((ReasoningArenaEnv(), "difficulty$"), (ReasoningArenaVectorEnv(2), "difficulty, reset_mask$")):
        with pytest.raises(ArenaError, match=f"'dificulty'; allowed are {allowed}"):
            env.reset(options={"dificulty": 3})
        with pytest.raises(ArenaError, match="give a dict"):
            env.reset(options=5)  # type: ignore[arg-type]
    with pytest.raises(ArenaError, match="curriculum decides"):
        Curriculum(gym.make("ReasoningArena-v0")).reset(options={"difficulty": 2})


@pytest.mark.parametrize("vector", [False, True])
def test_seeds_are_integers_of_any_kind(vector: bool) -> None:
    env = ReasoningArenaVectorEnv(2) if vector else gym.make("ReasoningArena-v0")
    asked = env.reset(seed=3)[0]
    assert env.reset()[0] != asked
    for seed in (np.int64(3), np.uint8(3)):
        assert env.reset(seed=seed)[0] == asked  # type: ignore[arg-type]
    for wrong in (True, np.True_, -1, 3.0, "3", np.array(3)):
        with pytest.raises(ArenaError, match=r"seed .* integer of at least 0"):
            env.reset(seed=wrong)  # type: ignore[arg-type]


def test_seeds_of_lanes_may_be_an_array() -> None:
    vector = ReasoningArenaVectorEnv(2)
    assert vector.reset(seed=np.array([3, 9]))[0] == vector.reset(seed=[3, 9])[0]  # type: ignore[arg-type]
    for seed in ("12", [1.5, 2], np.array(3), [-1, 2]):
        with pytest.raises(ArenaError, match="seed"):
            vector.reset(seed=seed)  # type: ignore[arg-type]


@pytest.mark.parametrize("tasks", [{"math", "grid"}, {"math": 1, "grid": 5}])
def test_tasks_without_an_order_are_refused(tasks: Any) -> None:
    with pytest.raises(ArenaError, match="give names"):
        gym.make("ReasoningArena-v0", tasks=tasks)


def test_importing_the_environments_loads_no_torch() -> None:
    code = "import sys, reasoning_arena.envs; sys.exit(bool({'torch', 'transformers'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_one_line_makes_an_environment_in_a_fresh_process() -> None:
    code = "import gymnasium as gym; print(gym.make('reasoning_arena.envs:ReasoningArena-v0').reset(seed=0)[0])"
    outputs = {
        subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, capture_output=True, text=True).stdout
        for _ in range(2)
    }
    assert len(outputs) == 1


def test_stable_baselines_finds_nothing_to_complain_of_in_byte_codes() -> None:
    from stable_baselines3.common.env_checker import check_env as stable_baselines_check

    env = ByteCodes(gym.make("ReasoningArena-v0"))
    stable_baselines_check(env)
    codes, _ = env.reset(seed=0)
    assert bytes(codes).rstrip(b"\0").decode() == gym.make("ReasoningArena-v0").reset(seed=0)[0]
    *_, info = env.step(np.array([ord("9") - 31, *[0] * 15]))
    assert info["answer"] in ("9", None)
    with pytest.raises(ArenaError, match="integers from 1"):
        ByteCodes(env.env, action_bytes=0)
