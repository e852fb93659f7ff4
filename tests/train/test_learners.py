"""Every learner by every objective, with everything that a stream can be, on a tiny model."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from reasoning_arena.agents.errors import AgentError
from reasoning_arena.agents.models import LoadedModel, load_model
from reasoning_arena.agents.policy import SoftPromptPolicy
from reasoning_arena.agents.soft_prompt import embedding_rms, initial_soft_prompt
from reasoning_arena.agents.steering import PromptMixture, TaskPrompts
from reasoning_arena.envs import ReasoningArenaVectorEnv
from reasoning_arena.train.checkpoint import load_soft_prompt, load_state
from reasoning_arena.train.config import Config
from reasoning_arena.train.errors import TrainingError
from reasoning_arena.train.learners import LEARNERS, new_steering
from reasoning_arena.train.losses import weighted_completions
from reasoning_arena.train.online import main, train
from reasoning_arena.train.optimizer import Optimizer
from reasoning_arena.train.reward import RewardRound


def small(folder: Path, **changes: Any) -> Config:
    settings: dict[str, Any] = {
        "model": str(folder), "episodes": 12, "batch_size": 4, "eval_interval": 4, "eval_episodes": 10,
        "preamble": "In a few words.", "soft_tokens": 4, "own_tokens": 2, "experts": 3, "lora_rank": 2, "max_new_tokens": 6,
        "samples_per_question": 3, "dtype": "float32", "device": "cpu", "quiet": True,
    }  # fmt: skip
    return Config(**(settings | changes))


def learnt(run: Path, episode: int) -> dict[str, torch.Tensor]:
    steering: dict[str, torch.Tensor] = load_state(run / "checkpoints" / f"episode-{episode:06d}")["steering"]
    return steering


def cut_back(run: Path, episode: int) -> None:
    """As if the run had stopped after that episode."""
    for checkpoint in (run / "checkpoints").iterdir():
        if int(checkpoint.name.split("-")[1]) > episode:
            for file in sorted(checkpoint.rglob("*"), reverse=True):
                file.rmdir() if file.is_dir() else file.unlink()
            checkpoint.rmdir()


@pytest.mark.parametrize("loss", ["supervised", "reward", "contrastive"])
@pytest.mark.parametrize("learner", list(LEARNERS))
def test_every_learner_learns_by_every_objective_and_resumes(
    lm_folder: Path, tmp_path: Path, learner: str, loss: str
) -> None:
    run = tmp_path / "run"
    whole = train(small(lm_folder, learner=learner, loss=loss, estimator="reinforce", run_dir=run))
    begun, ended = learnt(run, 0), learnt(run, 12)
    moved = {name for name, value in begun.items() if not torch.equal(value, ended[name])}
    assert len(begun["preamble"])
    stays = {"preamble", "weight"} if learner == "lora" else {"preamble"}
    assert moved | {"gate"} == (set(begun) | {"gate"}) - stays
    cut_back(run, 4)
    assert main(["--resume", str(run), "--quiet"]) == 0
    again = json.loads((run / "results.json").read_text())
    assert again["training"] == whole["training"]
    assert all(torch.equal(value, learnt(run, 12)[name]) for name, value in ended.items())


@pytest.mark.parametrize("loss", ["supervised", "reward"])
def test_a_run_with_every_stream_resumes(lm_folder: Path, tmp_path: Path, loss: str) -> None:
    run = tmp_path / "run"
    stream: dict[str, Any] = {"replay": 3, "adaptive": True, "curriculum": True, "difficulty": 3}
    stream |= {"kl": 0.1} if loss == "reward" else {"replay_draws": "mistakes"}
    whole = train(small(lm_folder, loss=loss, run_dir=run, **stream))
    cut_back(run, 4)
    assert load_state(run / "checkpoints" / "episode-000004")["stream"][0]["replay"]["kept"]
    assert main(["--resume", str(run), "--quiet"]) == 0
    assert json.loads((run / "results.json").read_text())["training"] == whole["training"]


def test_per_task_prompts_are_peft_adapters(lm_folder: Path, tmp_path: Path) -> None:
    train(small(lm_folder, learner="per-task", run_dir=tmp_path / "run", max_new_tokens=4))
    checkpoint = tmp_path / "run" / "checkpoints" / "episode-000012"
    lm = load_model(str(lm_folder), "cpu", "float32")
    steering = new_steering(small(lm_folder, learner="per-task").resolved(), lm)
    steering.load_state_dict(learnt(tmp_path / "run", 12))
    policy = SoftPromptPolicy(lm, steering, chat_template=False, max_new_tokens=4)
    questions, infos = ReasoningArenaVectorEnv(4, tasks=("math",), split="test").reset(seed=0)
    answers = policy.act(questions, infos["task"].tolist())
    assert peft_answers(lm_folder, checkpoint / "math", policy, questions) == [one.tokens for one in answers]


def peft_answers(
    lm_folder: Path, adapter: Path, policy: SoftPromptPolicy, questions: tuple[str, ...]
) -> list[tuple[int, ...]]:
    model = PeftModel.from_pretrained(load_model(str(lm_folder), "cpu", "float32").model, adapter)
    said = []
    for question in questions:
        ids = torch.tensor([policy.encoder.prompt_ids(question)])
        out = model.generate(
            input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=4, do_sample=False, pad_token_id=0,
            eos_token_id=sorted(policy.encoder.stop_ids),
        )  # fmt: skip
        said.append(tuple(out[0, ids.shape[1] :].tolist()))
    return said


def test_low_rank_adapters_are_peft_adapters(lm_folder: Path, tmp_path: Path) -> None:
    train(small(lm_folder, learner="hybrid", run_dir=tmp_path / "run", lr=5.0))
    checkpoint = tmp_path / "run" / "checkpoints" / "episode-000012"
    lm = load_model(str(lm_folder), "cpu", "float32")
    steering = new_steering(small(lm_folder, learner="hybrid").resolved(), lm)
    steering.load_state_dict(learnt(tmp_path / "run", 12))
    ours = SoftPromptPolicy(lm, steering, chat_template=False)
    adapted = PeftModel.from_pretrained(load_model(str(lm_folder), "cpu", "float32").model, checkpoint / "lora")
    plain = load_model(str(lm_folder), "cpu", "float32").model
    prompt = ours.encoder.prompt_ids("What comes next?")
    ids = torch.tensor([[*prompt, 7]])
    with torch.no_grad():
        theirs, base = (model(input_ids=ids).logits[0, -2].log_softmax(-1) for model in (adapted, plain))
    nothing = lm.model.get_input_embeddings().weight[:0]
    mine = ours.language_model.score(nothing, [prompt], [(7,)]).logprobs[0, 0].detach()
    assert mine.item() == pytest.approx(theirs[7].item(), abs=1e-4)
    assert (theirs[7] - base[7]).abs() > 1e-3
    assert load_soft_prompt(checkpoint / "soft_prompt").weight.shape == (4, lm.width)
    with pytest.raises(TrainingError, match="name the soft prompt's: lora, soft_prompt"):
        load_soft_prompt(checkpoint)
    with pytest.raises(TrainingError, match="no soft prompt"):
        load_soft_prompt(checkpoint / "lora")


def test_a_prompt_starts_from_a_checkpoint(lm_folder: Path, tmp_path: Path) -> None:
    train(small(lm_folder, run_dir=tmp_path / "first"))
    start = tmp_path / "first" / "checkpoints" / "episode-000012"
    train(small(lm_folder, init_from=start, preamble=None, soft_tokens=None, run_dir=tmp_path / "then"))
    for name in ("preamble", "weight"):
        assert torch.equal(learnt(tmp_path / "first", 12)[name], learnt(tmp_path / "then", 0)[name])
    with pytest.raises(TrainingError, match="--preamble has no place"):
        train(small(lm_folder, init_from=start, soft_tokens=None, run_dir=tmp_path / "other"))


def test_a_new_task_gets_the_mean_prompt(lm: LoadedModel) -> None:
    width = lm.width
    prompts = TaskPrompts(torch.zeros(2, width), {"a": torch.ones(1, width), "b": 3 * torch.ones(1, width)})
    own = prompts([(1,), (1,), (1,)], ["a", "new", "b"]).own
    assert own is not None
    assert own[:, 0, 0].tolist() == [1, 2, 3]
    with pytest.raises(AgentError, match="task"):
        prompts([(1,)], [])


def test_the_gate_learns_to_tell_questions_apart(lm: LoadedModel) -> None:
    rms = embedding_rms(lm)
    bank = torch.stack([torch.zeros(1, lm.width), torch.ones(1, lm.width)])
    mixture = PromptMixture(lm, torch.zeros(1, lm.width), bank, rms)
    prompts = [(5, 6, 7), (8, 9, 10)]
    assert torch.allclose(mixture.shares(prompts), torch.full((2, 2), 0.5))
    optimizer = torch.optim.Adam([mixture.gate], lr=0.1)
    for _ in range(50):
        optimizer.zero_grad()
        own = mixture(prompts).own
        assert own is not None
        (own[0].square().mean() - own[1].mean()).backward()
        optimizer.step()
    shares = mixture.shares(prompts)
    assert shares[0, 0] > 0.9
    assert shares[1, 1] > 0.9


def test_replayed_answers_are_learnt_from(lm_folder: Path, tmp_path: Path) -> None:
    runs = []
    for replay in (0, 2):
        runs.append(tmp_path / str(replay))
        train(small(lm_folder, replay=replay, run_dir=runs[-1]))
    assert torch.equal(learnt(runs[0], 4)["weight"], learnt(runs[1], 4)["weight"])  # nothing to go over yet
    assert not torch.equal(learnt(runs[0], 8)["weight"], learnt(runs[1], 8)["weight"])


def test_kl_is_measured_and_charged(lm_folder: Path, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for kl in (0.0, 0.5):
        config = small(lm_folder, loss="reward", estimator="rloo", kl=kl, run_dir=tmp_path / str(kl), tasks=("math",))
        train(config)
    events = EventAccumulator(str(tmp_path / "0.5"))
    events.Reload()
    assert "train/kl" in events.Tags()["scalars"]
    assert not torch.equal(learnt(tmp_path / "0.0", 12)["weight"], learnt(tmp_path / "0.5", 12)["weight"])


def test_kl_charges_a_sample_relative_to_the_others(lm: LoadedModel, lm_folder: Path) -> None:
    config = small(lm_folder, loss="reward", estimator="rloo", kl=0.5, tasks=("math",), temperature=5.0).resolved()
    policy = SoftPromptPolicy(lm, new_steering(config, lm), max_new_tokens=6)
    learning = RewardRound(config, policy, Optimizer(policy, 0.1, 3))
    seen: list[Any] = []

    def noting(scored: Any, weights: torch.Tensor, n: int) -> torch.Tensor:
        seen.append((scored, weights, n))
        return weighted_completions(scored, weights, n)

    question = learning.before.questions[0]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("reasoning_arena.train.reward.weighted_completions", noting)
        learning.play()
    ((scored, weights, n),) = seen
    assert n == 4  # questions, of three samples each
    mine = [tuple(row) for row in scored.completions[:3]]
    apart = scored.logprobs.detach().sum(1)[:3] - policy.unprompted([question] * 3, mine)
    others = [(apart.sum() - one) / 2 for one in apart]
    assert weights[:3].tolist() == pytest.approx(
        [-0.5 / 3 * float(one - rest) for one, rest in zip(apart, others, strict=False)], abs=1e-4
    )
    assert weights[:3].abs().max() > 3e-3


def test_rounds_without_anything_to_learn_from_lower_the_learning_rate(lm: LoadedModel) -> None:
    optimizer = Optimizer(SoftPromptPolicy(lm, initial_soft_prompt(lm, 2, "text", "Say", torch.Generator())), 1.0, 40)
    loss = optimizer.parameters[0].square().sum()
    rates = []
    for played in range(40):
        optimizer.step(loss if played in (3, 39) else None)
        rates.append(optimizer.adam.param_groups[0]["lr"])
        loss = optimizer.parameters[0].square().sum()
    assert rates[3] == pytest.approx(embedding_rms(lm))
    assert rates[39] < 0.12 * rates[3]


def test_kl_changes_no_reward(lm_folder: Path, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    paid = {"loss": "reward", "estimator": "reinforce", "most_samples": 3, "tasks": ("math",)}
    train(small(lm_folder, kl=50.0, run_dir=tmp_path / "run", **paid))
    events = EventAccumulator(str(tmp_path / "run"))
    events.Reload()
    assert {event.value for event in events.Scalars("train/success_rate")} == {0.0}  # this model knows nothing


def test_what_is_learnt_does_not_depend_on_when_it_is_evaluated(lm_folder: Path, tmp_path: Path) -> None:
    for interval in (4, 12):
        train(small(lm_folder, eval_interval=interval, adaptive=True, run_dir=tmp_path / str(interval)))
    assert torch.equal(learnt(tmp_path / "4", 12)["weight"], learnt(tmp_path / "12", 12)["weight"])


def test_what_is_filled_in_is_allowed_too() -> None:
    filled = Config(loss="reward", samples_per_question=2_000).resolved()
    assert Config.from_json(filled.to_json()).resolved() == filled  # as a resumed run reads it


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--loss", "reward", "--kl", "0.1", "--learner", "lora"], "--kl"),
        (["--loss", "reward", "--kl", "0.1", "--estimator", "raft", "--samples-per-question", "1"], "--kl"),
        (["--replay", "-1"], "--replay"),
        (["--loss", "reward", "--most-samples", "7"], "--most-samples 7 is not allowed"),
        (["--loss", "reward", "--most-samples", "10001"], "--most-samples 10001 is not allowed; give 1 to 10000"),
        (["--soft-tokens", "1000000000"], "--soft-tokens 1000000000 is not allowed; give 1 to 10000"),
        (["--eval-episodes", "0"], "--eval-episodes 0 is not allowed; give 1 to 10000"),
        (["--most-samples", "9"], "--most-samples has no place beside --loss supervised"),
        (["--own-tokens", "0", "--learner", "mixture"], "--own-tokens 0"),
        (["--estimator", "raft"], "--estimator has no place beside --loss supervised; it is for --loss reward"),
        (["--loss", "reward", "--target", "answer"], "it is for --loss supervised or contrastive"),
        (["--lora-rank", "4", "--learner", "mixture"], "it is for --learner lora or hybrid"),
        (
            ["--replay-draws", "mistakes", "--replay", "0"],
            "--replay-draws has no place where nothing is gone over again",
        ),
        (["--replay-capacity", "5", "--loss", "contrastive"], "--replay-capacity has no place"),
        (["--init-text", "x", "--init", "random"], "--init-text has no place beside --init random"),
        (["--init-from", "/nowhere"], "/nowhere"),
        (["--init-from", "/nowhere", "--init", "random"], "--init has no place beside --init-from"),
    ],
)
def test_mistakes_get_one_line(
    arguments: list[str], said: str, lm_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*arguments, "--model", str(lm_folder), "--run-dir", str(tmp_path / "run"), "--quiet"]) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("error: ")
    assert said in last


def test_a_model_without_layers_to_adapt_is_refused(lm: LoadedModel) -> None:
    unknown = copy.deepcopy(lm)
    kind = type(unknown.model.config)
    unknown.model.config.__class__ = type("Unknown", (kind,), {"model_type": "unheard-of"})  # PEFT has no layers for it
    with pytest.raises(AgentError, match=r"adapters: .*target_modules"):
        new_steering(Config(learner="lora", soft_tokens=2).resolved(), unknown)


def test_reward_counts_replayed_answers_once_a_question(lm: LoadedModel, lm_folder: Path) -> None:
    config = small(lm_folder, loss="reward", replay=2, tasks=("comparison",)).resolved()
    policy = SoftPromptPolicy(lm, new_steering(config, lm), max_new_tokens=6)
    learning = RewardRound(config, policy, Optimizer(policy, 0.1, 3))
    for _ in range(3):
        learning.play()
    learning.settle(everything=True)
    assert len(learning.stream.replay.kept["comparison"]) == 12  # every question has one candidate that was paid


def test_replayed_answers_are_rated_by_how_likely_they_were(lm: LoadedModel, lm_folder: Path) -> None:
    config = small(lm_folder, loss="reward", replay=2, tasks=("comparison", "grid")).resolved()
    policy = SoftPromptPolicy(lm, new_steering(config, lm), max_new_tokens=6)
    learning = RewardRound(config, policy, Optimizer(policy, 0.1, 3))
    learning.play()
    before = {lesson: missed for some in learning.stream.replay.kept.values() for lesson, missed in some.items()}
    begun = copy.deepcopy(policy.soft_prompt.state_dict())
    learning.play()
    after = {lesson: missed for some in learning.stream.replay.kept.values() for lesson, missed in some.items()}
    rated = [lesson for lesson, missed in after.items() if before.get(lesson) != missed]
    assert len(rated) == 4 + 2  # new ones and those gone over again
    policy.soft_prompt.load_state_dict(begun)
    scored = policy.score([one.question for one in rated], [one.completion for one in rated])
    likely = scored.logprobs.detach().sum(1).exp().tolist()
    assert [after[lesson] for lesson in rated] == pytest.approx([1.05 - one for one in likely], abs=1e-4)
