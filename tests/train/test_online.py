"""The loop and the command, on a tiny model: what is learnt, and what is refused."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peft import PeftModel
from reasoning_arena.agents.errors import AgentError
from reasoning_arena.agents.models import LoadedModel, load_model
from reasoning_arena.agents.policy import SoftPromptPolicy
from reasoning_arena.agents.soft_prompt import initial_soft_prompt
from reasoning_arena.envs import ReasoningArenaVectorEnv
from reasoning_arena.train import supervised
from reasoning_arena.train.checkpoint import load_soft_prompt
from reasoning_arena.train.config import Config, LearnerName, LossName
from reasoning_arena.train.errors import TrainingError
from reasoning_arena.train.held_out import Evaluator
from reasoning_arena.train.learners import new_steering
from reasoning_arena.train.losses import per_token, weighted_completions
from reasoning_arena.train.online import main, train
from reasoning_arena.train.optimizer import Optimizer, Update
from reasoning_arena.train.reward import ENUMERATED, RewardRound
from reasoning_arena.train.supervised import SupervisedRound


def soft_prompt(run: Path, episode: int = 16) -> torch.Tensor:
    return load_soft_prompt(run / "checkpoints" / f"episode-{episode:06d}").weight.detach()


@pytest.mark.parametrize("loss", ["supervised", "reward"])
def test_models_of_any_family_learn(
    any_lm: LoadedModel, small: Callable[..., Config], tmp_path: Path, loss: LossName
) -> None:
    any_lm.model.save_pretrained(tmp_path / "model")
    any_lm.tokenizer.save_pretrained(tmp_path / "model")
    results = train(small(tmp_path / "model", loss=loss, episodes=8, run_dir=tmp_path / "run"))
    assert [one["episode"] for one in results["training"]] == [4, 8]
    assert (tmp_path / "run" / "checkpoints" / "episode-000008" / "adapter_model.safetensors").exists()


@pytest.mark.parametrize("loss", ["supervised", "reward"])
def test_learning_moves_the_soft_prompt_and_nothing_else(
    small: Callable[..., Config], lm_folder: Path, tmp_path: Path, loss: str
) -> None:
    lm = load_model(str(lm_folder), "cpu", "float32")
    before = {name: value.clone() for name, value in lm.model.state_dict().items()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("reasoning_arena.train.run.load_model", lambda *_: lm)
        train(small(lm_folder, loss=loss, run_dir=tmp_path / "run", estimator="reinforce"))
    assert not torch.equal(soft_prompt(tmp_path / "run", 0), soft_prompt(tmp_path / "run"))
    assert all(torch.equal(value, before[name]) for name, value in lm.model.state_dict().items())


def test_steps_lower_the_loss(lm_folder: Path) -> None:
    lm = load_model(str(lm_folder), "cpu", "float32")
    policy = SoftPromptPolicy(lm, initial_soft_prompt(lm, 8, "text", "Say it", torch.Generator()))
    optimizer, target = Optimizer(policy, 1.0, 80), [policy.encoder.completion_ids("fog")] * 2
    losses = []
    for _ in range(80):
        scored = policy.score(["What follows?", "What comes next?"], target)
        update = optimizer.step(weighted_completions(scored, per_token(scored), 2))
        assert update is not None
        losses.append(update.loss)
    assert losses[-1] < 0.8 * losses[0]


def test_a_seed_gives_the_same_run_again(
    small: Callable[..., Config], run: Path, lm_folder: Path, tmp_path: Path
) -> None:
    train(small(lm_folder, run_dir=tmp_path / "same"))
    train(small(lm_folder, run_dir=tmp_path / "other", seed=1))
    assert torch.equal(soft_prompt(run), soft_prompt(tmp_path / "same"))
    assert not torch.equal(soft_prompt(run), soft_prompt(tmp_path / "other"))


@pytest.mark.parametrize(
    ("learner", "together", "rounds"),
    [
        ("soft-prompt", 32, 16),
        ("soft-prompt", 4, 16),
        ("soft-prompt", 32, 2),
        ("lora", 32, 16),
        ("hybrid", 4, 16),
    ],
)
def test_foreseeing_answers_changes_nothing(
    small: Callable[..., Config], lm_folder: Path, learner: LearnerName, together: int, rounds: int
) -> None:
    config = small(lm_folder, learner=learner).resolved()
    outcomes = []
    for foresees in (True, False):
        lm = load_model(str(lm_folder), "cpu", "float32")
        policy = SoftPromptPolicy(lm, new_steering(config, lm), max_new_tokens=6)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(SoftPromptPolicy, "foresees", foresees)
            said: list[list[str]] = []
            patch.setattr(ReasoningArenaVectorEnv, "step", _noting(said, ReasoningArenaVectorEnv.step))
            patch.setattr(supervised, "SETTLE_ROUNDS", rounds)
            policy.language_model.decoded_together = together
            learning = SupervisedRound(config, policy, Optimizer(policy, 0.2 if learner == "soft-prompt" else 5.0, 6))
            results = []
            for left_rounds in reversed(range(6)):
                learning.play()
                results += learning.settle(everything=not left_rounds)
        outcomes.append((sorted(row for row in said if any(row)), results, policy.soft_prompt.state_dict()))
    assert outcomes[0][0] == outcomes[1][0]
    for one, other in zip(outcomes[0][1], outcomes[1][1], strict=True):
        assert one.update is not None
        assert other.update is not None
        assert one.update.loss == pytest.approx(other.update.loss, rel=1e-4)
        assert one[1:] == other[1:]
    for name, value in outcomes[0][2].items():
        assert torch.allclose(value, outcomes[1][2][name], atol=1e-5), name


def _noting(said: list[list[str]], step: Any) -> Any:
    def noted(self: ReasoningArenaVectorEnv, actions: Any) -> Any:
        said.append(list(actions))
        return step(self, actions)

    return noted


@pytest.mark.parametrize("estimator", ["reinforce", "exact"])
def test_reward_learning_never_looks_at_the_gold_answer(
    small: Callable[..., Config], lm_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, estimator: str
) -> None:
    train(small(lm_folder, loss="reward", run_dir=tmp_path / "clean", estimator=estimator))
    assert not torch.equal(soft_prompt(tmp_path / "clean", 0), soft_prompt(tmp_path / "clean"))
    step = ReasoningArenaVectorEnv.step

    def poisoned(self: ReasoningArenaVectorEnv, actions: Any) -> Any:
        *rest, infos = step(self, actions)
        for key in ("gold_answer", "solution"):
            infos["final_info"][key] = np.full(self.num_envs, "poison", object)
        return *rest, infos

    monkeypatch.setattr(ReasoningArenaVectorEnv, "step", poisoned)
    train(small(lm_folder, loss="reward", run_dir=tmp_path / "poisoned", estimator=estimator))
    assert torch.equal(soft_prompt(tmp_path / "clean"), soft_prompt(tmp_path / "poisoned"))


def test_exact_has_every_candidate_paid(small: Callable[..., Config], lm_folder: Path) -> None:
    lm, config = (
        load_model(str(lm_folder), "cpu", "float32"),
        small(lm_folder, loss="reward", tasks=("comparison", "math"), samples_per_question=2, most_samples=2),
    )
    policy = SoftPromptPolicy(lm, initial_soft_prompt(lm, 4, "text", "Say it", torch.Generator()), max_new_tokens=6)
    said: list[list[str]] = []
    learning = RewardRound(config.resolved(), policy, Optimizer(policy, 0.2, 4))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ReasoningArenaVectorEnv, "step", _noting(said, ReasoningArenaVectorEnv.step))
        candidates = list(learning.paid.candidates)
        learning.play()
    (paid,) = (row for row in said if len(row) == 4 * ENUMERATED)
    closed = 0
    for k in range(4):
        allowed, answers = (one[ENUMERATED * k : ENUMERATED * (k + 1)] for one in (candidates, paid))
        if allowed[0]:  # three people, three answers
            assert answers == [*allowed[0], *[""] * (ENUMERATED - 3)]
            closed += 1
        else:
            assert answers[2:] == [""] * (ENUMERATED - 2)  # and what the two samples say
    assert 0 < closed < 4


def test_peft_loads_a_checkpoint_with_the_same_answers(lm_folder: Path, run: Path) -> None:
    lm = load_model(str(lm_folder), "cpu", "float32")
    folder = run / "checkpoints" / "episode-000016"
    policy = SoftPromptPolicy(lm, load_soft_prompt(folder), chat_template=False, max_new_tokens=6)
    questions, _ = ReasoningArenaVectorEnv(4, split="test").reset(seed=0)
    answers = policy.act(questions)
    peft = PeftModel.from_pretrained(load_model(str(lm_folder), "cpu", "float32").model, folder)
    for question, answer in zip(questions, answers, strict=True):
        ids = torch.tensor([policy.encoder.prompt_ids(question)])
        out = peft.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=6,
            do_sample=False,
            pad_token_id=0,
            eos_token_id=2,
        )
        assert tuple(out[0, ids.shape[1] :].tolist()) == answer.tokens


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--tasks", "algebra"], "comparison"),
        (["--difficulty", "9"], "1 to 5"),
        (["--batch-size", "0"], "--batch-size 0"),
        (["--lr", "-1"], "--lr"),
        (["--loss", "reward", "--estimator", "rloo", "--samples-per-question", "1"], "at least 2"),
        (["--model", "/nowhere"], "no such folder"),
        (["--model", ""], "no such folder"),
        (["--device", "tpu9"], "tpu9"),
        (["--resume", "/nowhere"], "no such run folder"),
        (["--eval-episodes", "1000", "--tasks", "sequence"], "ask for fewer"),
        (["--seed", "99999999999999999999"], "--seed 99999999999999999999"),
        (["--curriculum"], "at least 2"),
        (["--soft-tokens", "600"], "more than the 512"),
    ],
)
def test_mistakes_get_one_line_and_exit_2(
    arguments: list[str],
    said: str,
    lm_folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    model = [] if "--model" in arguments else ["--model", str(lm_folder)]
    assert main([*model, *arguments]) == 2
    err = capsys.readouterr().err
    last = err.splitlines()[-1]
    assert last.startswith("error: ")
    assert said in last
    assert "Traceback" not in err


def test_unknown_flags_exit_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["--bogus"])
    assert stop.value.code == 2
    capsys.readouterr()


def test_help_explains_every_flag(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    for field in dataclasses.fields(Config):
        assert f"--{field.name.replace('_', '-')}" in text


@pytest.mark.parametrize(("loss", "kind"), [("supervised", TrainingError), ("reward", AgentError)])
def test_what_is_no_number_is_refused(
    small: Callable[..., Config], lm_folder: Path, tmp_path: Path, loss: str, kind: type[Exception]
) -> None:
    lm = load_model(str(lm_folder), "cpu", "float32")
    lm.model.get_output_embeddings().weight[3, 3] = float("nan")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("reasoning_arena.train.run.load_model", lambda *_: lm)
        with pytest.raises(kind, match="nan") as error:
            train(small(lm_folder, loss=loss, run_dir=tmp_path / "run"))
    assert "float32" in str(error.value)
    assert [path.name for path in (tmp_path / "run" / "checkpoints").iterdir()] == ["episode-000000"]
    assert (tmp_path / "run" / "learning_curves.png").exists()


@pytest.mark.parametrize("kind", [TrainingError, torch.OutOfMemoryError])
def test_what_led_to_an_error_is_recorded(
    small: Callable[..., Config],
    lm_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: type[Exception],
) -> None:
    def fails_at_the_third(self: Optimizer, loss: torch.Tensor | None) -> Update | None:
        if self.done == 2:
            raise kind("no more")
        return step(self, loss)

    step = Optimizer.step
    monkeypatch.setattr(Optimizer, "step", fails_at_the_third)
    run = tmp_path / "run"
    with pytest.raises(kind, match="no more"):
        train(small(lm_folder, loss="reward", eval_interval=16, run_dir=run))
    assert [one["episode"] for one in json.loads((run / "results.json").read_text())["training"]] == [4]
    assert [path.name for path in (run / "checkpoints").iterdir()] == ["episode-000000"]
    monkeypatch.setattr(Optimizer, "step", step)
    assert main(["--resume", str(run), "--quiet"]) == 0
    training = json.loads((run / "results.json").read_text())["training"]
    assert [one["episode"] for one in training] == [4, 8, 12, 16]


def test_held_out_problems_are_different_and_always_the_same(small: Callable[..., Config], lm_folder: Path) -> None:
    first, second = (Evaluator(small(lm_folder, eval_episodes=60, seed=seed)) for seed in (0, 1))
    assert first._reset() == second._reset() == first._reset()
    assert len(set(first._reset())) == 60


def test_a_supervised_step_goes_over_up_to_eight_questions_by_default() -> None:
    assert [Config(batch_size=n).resolved().replay for n in (1, 2, 3, 4, 5, 8, 16)] == [7, 6, 3, 4, 0, 0, 0]
    assert Config(loss="reward", batch_size=1).resolved().replay == 2
    assert Config(replay=0).resolved().replay == 0


def test_a_smaller_batch_learns_more_slowly_by_default() -> None:
    assert Config().resolved().lr == 0.2
    assert Config(batch_size=1, replay=0).resolved().lr == pytest.approx(0.1)
    assert Config(batch_size=1).resolved().lr == 0.2  # it goes over seven others
    assert Config(batch_size=16).resolved().lr == 0.2
    assert Config(batch_size=1, lr=0.3).resolved().lr == 0.3
    assert Config(loss="reward").resolved().lr == 0.06
    assert Config(loss="reward", learner="hybrid").resolved().lr == 0.12
