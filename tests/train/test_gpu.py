"""On a GPU everything is computed as it is on a CPU, up to rounding. Skipped where there is no GPU."""

import copy
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from reasoning_arena.agents import graphs, recorded
from reasoning_arena.agents.adapters import LowRankAdapters
from reasoning_arena.agents.language_model import LanguageModel
from reasoning_arena.agents.models import LoadedModel, load_model
from reasoning_arena.agents.policy import SoftPromptPolicy
from reasoning_arena.agents.recorded_pass import OFTEN
from reasoning_arena.agents.soft_prompt import SoftPrompt, initial_soft_prompt
from reasoning_arena.agents.steering import Soft
from reasoning_arena.train.checkpoint import load_soft_prompt, load_state
from reasoning_arena.train.config import Config
from reasoning_arena.train.online import train
from torch import Tensor

if not torch.cuda.is_available():
    pytest.skip("no GPU", allow_module_level=True)

PROMPTS = [[5, 6, *range(7, 7 + length)] for length in (3, 1, 6, 2, 40, 17, 9, 130, 4, 11)]
COMPLETIONS = [[20 + n, 21, 22, 2][-1 - n % 4 :] for n in range(len(PROMPTS))]


@pytest.fixture(scope="module")
def gpu(lm_folder: Path) -> LoadedModel:
    return load_model(str(lm_folder), "cuda", "float32")


def soft_prompt(lm: LoadedModel, length: int = 5) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return (torch.randn(length, lm.width, generator=generator) * 0.5).to(lm.device)


def adapted(lm: LoadedModel) -> tuple[LanguageModel, LowRankAdapters]:
    own = LoadedModel(**vars(lm) | {"model": copy.deepcopy(lm.model)})
    steering = LowRankAdapters(own, soft_prompt(own), 2, prompt_learns=True, seed=0, preamble=soft_prompt(own, 2))
    for one in steering.adapters:
        one.data = torch.randn(one.shape, generator=torch.Generator().manual_seed(2)).to(one) * 0.3
    return LanguageModel(own), steering


def assert_alike(gpu: Sequence[Tensor], cpu: Sequence[Tensor], tolerance: float = 1e-3) -> None:
    for got, expected in zip(gpu, cpu, strict=True):
        torch.testing.assert_close(got.cpu(), expected, atol=tolerance, rtol=tolerance)


@pytest.mark.parametrize("owners", [None, [0, 0, 0, 1, 2, 2, 3, 4, 5, 6]])
@pytest.mark.parametrize("rows", [1, 3, len(PROMPTS)])
def test_recorded_scores_and_gradients_equal_those_of_the_cpu(
    gpu: LoadedModel, lm: LoadedModel, owners: list[int] | None, rows: int
) -> None:
    prompts, completions, mine = PROMPTS[:rows], COMPLETIONS[:rows], owners and owners[:rows]
    models = LanguageModel(lm), LanguageModel(gpu)
    for turn in range(OFTEN + 3):
        scores, gradients, greedy = [], [], []
        for model in models:
            soft = (soft_prompt(model.lm) * (1 + turn)).requires_grad_()
            other = (soft_prompt(model.lm) * -0.5).requires_grad_()
            first = model.score(soft, prompts, completions, mine)
            with torch.no_grad():
                again = model.score(soft, prompts, completions, mine)
            second = model.score(other, prompts[::-1], completions[::-1], mine)  # before the first one's gradient
            of_other = torch.autograd.grad(second.logprobs.sum(), other)
            of_first = torch.autograd.grad(first.logprobs.sum(), soft)
            scores.append([one.logprobs.detach() for one in (first, again, second)])
            gradients.append([*of_first, *of_other])
            greedy.append(first.greedy.cpu())
        assert_alike(scores[1], scores[0], tolerance=1e-4)
        assert_alike(gradients[1], gradients[0])
        assert torch.equal(*greedy)


@pytest.mark.parametrize("owners", [None, list(range(len(PROMPTS)))])
def test_recorded_adapters_equal_those_of_the_cpu(gpu: LoadedModel, lm: LoadedModel, owners: list[int] | None) -> None:
    both = adapted(lm), adapted(gpu)
    for _ in range(OFTEN + 3):
        found, said = [], []
        for model, steering in both:
            said.append(
                [one.tokens for one in model.generate(steering(), PROMPTS, 9, frozenset({2}), scored_next=True)]
            )
            scored = model.score(steering(), PROMPTS, COMPLETIONS, owners)
            of_learnt = torch.autograd.grad(scored.logprobs.sum(), [steering.weight, *steering.adapters])
            found.append([scored.logprobs.detach(), *of_learnt])
            with torch.no_grad():
                for one in steering.adapters:
                    one.mul_(-0.9)  # in place, as an optimiser does
        assert_alike(found[1], found[0])
        assert said[1] == said[0]


@pytest.mark.parametrize("preamble", [0, 6])
@pytest.mark.parametrize("rows", [1, 3, len(PROMPTS)])
def test_recorded_decoding_equals_that_of_the_cpu(gpu: LoadedModel, lm: LoadedModel, preamble: int, rows: int) -> None:
    models = LanguageModel(lm), LanguageModel(gpu)
    assert models[0]._recorder is None
    assert models[1]._recorder is not None
    for limit, stops in ((9, {2}), (30, set[int]()), (9, {2}), (12, set(range(0, 600, 3)))):
        said = []
        for model in models:
            soft = Soft(soft_prompt(model.lm, preamble), soft_prompt(model.lm))
            said.append(model.generate(soft, PROMPTS[:rows], limit, frozenset(stops)))
        assert [one.tokens for one in said[0]] == [one.tokens for one in said[1]]


def test_foreseen_answers_equal_decoded_ones(gpu: LoadedModel) -> None:
    model, never, limit = LanguageModel(gpu), frozenset[int](), 20
    softs = [Soft(soft_prompt(gpu, 0), soft_prompt(gpu) * factor) for factor in (1.0, 1.3)]
    said = [[one.tokens for one in model.generate(soft, PROMPTS, limit, never)] for soft in softs]
    scored = [model.score(soft, PROMPTS, COMPLETIONS, keep_contexts=True) for soft in softs]
    begun = [model.begin(one, limit, never) for one in scored]
    some = model.grow(begun[:1], limit, never, leave=3)
    assert [one.said for one in model.grow([*some, begun[1]], limit, never)] == said


def test_sampling_gives_the_same_with_and_without_recording(gpu: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for kinds in (("cuda",), ()):
        monkeypatch.setattr(graphs, "RECORDED_ON", kinds)
        generator = torch.Generator("cuda").manual_seed(3)
        temperatures = [(0.0, 1.0, 0.7)] * len(PROMPTS)
        found.append(
            LanguageModel(gpu).generate(
                soft_prompt(gpu), PROMPTS, 12, frozenset({2}), temperatures=temperatures, generator=generator
            )
        )
    assert [one.tokens for one in found[0]] == [one.tokens for one in found[1]]
    assert [one.logprob for one in found[0]] == pytest.approx([one.logprob for one in found[1]], abs=1e-3)


def test_few_recordings_are_kept_and_share_their_memory(gpu: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = LanguageModel(gpu).generate(soft_prompt(gpu), PROMPTS, 9, frozenset({2}))
    for name, value in (("RECORDINGS", 4), ("ROWS", 1), ("COLUMNS", 1)):
        monkeypatch.setattr(recorded, name, value)
    models = LanguageModel(gpu), LanguageModel(gpu)
    for turn in range(60):  # more recordings than a device has streams, of two policies in turn
        model, rows = models[turn % 3 % 2], 1 + turn * 7 % 20
        said = model.generate(soft_prompt(gpu), (PROMPTS * 2)[:rows], 1 + turn % 9, frozenset({2}))
        assert len(said) == rows
        assert model._recorder is not None
        assert len(model._recorder._recordings) <= 4
    for model in models:
        said = model.generate(soft_prompt(gpu), PROMPTS, 9, frozenset({2}))
        assert [one.tokens for one in said] == [one.tokens for one in expected]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("loss", ["supervised", "reward", "contrastive"])
@pytest.mark.parametrize("learner", ["soft-prompt", "hybrid"])
def test_a_run_learns(
    small: Callable[..., Config], lm_folder: Path, tmp_path: Path, learner: str, loss: str, dtype: str
) -> None:
    config = small(lm_folder, learner=learner, loss=loss, device="cuda", dtype=dtype, run_dir=tmp_path / "run")
    train(config)
    checkpoints = sorted((tmp_path / "run" / "checkpoints").iterdir())
    first, last = (load_state(one)["steering"] for one in (checkpoints[0], checkpoints[-1]))
    for name in set(first) - {"preamble"}:
        assert torch.isfinite(last[name]).all()
        assert not torch.equal(first[name], last[name])


def test_peft_gives_the_same_greedy_answers(
    small: Callable[..., Config], gpu: LoadedModel, lm_folder: Path, tmp_path: Path
) -> None:
    train(small(lm_folder, device="cuda", dtype="float32", run_dir=tmp_path / "run"))
    checkpoint = max((tmp_path / "run" / "checkpoints").iterdir())
    policy = SoftPromptPolicy(gpu, load_soft_prompt(checkpoint), max_new_tokens=8)
    said = policy.act(["Who is it?", "What is 7 + 2?"])
    other = load_model(str(lm_folder), "cuda", "float32")
    model = PeftModel.from_pretrained(other.model, checkpoint)
    for question, answer in zip(["Who is it?", "What is 7 + 2?"], said, strict=True):
        ids = torch.tensor([policy.encoder.prompt_ids(question)], device="cuda")
        out = model.generate(
            input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=8, do_sample=False,
            eos_token_id=sorted(policy.encoder.stop_ids), pad_token_id=0,
        )  # fmt: skip
        assert tuple(out[0, -len(answer.tokens) :].tolist()) == answer.tokens


def test_a_soft_prompt_learns_in_bfloat16(lm_folder: Path) -> None:
    lm = load_model(str(lm_folder), "cuda", "bfloat16")
    policy = SoftPromptPolicy(lm, initial_soft_prompt(lm, 4, "text", "Say it", torch.Generator()))
    assert isinstance(policy.soft_prompt, SoftPrompt)
    assert policy.soft_prompt.weight.dtype == torch.float32
    policy.score(["a", "b"], [[7, 2], [8, 2]]).logprobs.sum().backward()
    assert policy.soft_prompt.weight.grad is not None
    assert torch.isfinite(policy.soft_prompt.weight.grad).all()
