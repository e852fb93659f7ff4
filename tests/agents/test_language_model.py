"""Scoring and decoding against the slow, obvious computation: one row at a time, nothing padded, nothing shared."""

import copy
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from peft import LoraConfig, inject_adapter_in_model
from peft.tuners.tuners_utils import BaseTunerLayer
from reasoning_arena.agents import fused, graphs, product, recorded, recorded_pass
from reasoning_arena.agents.adapters import LowRankAdapters
from reasoning_arena.agents.decoding import Said
from reasoning_arena.agents.kv_cache import columns_of, merged
from reasoning_arena.agents.language_model import BATCH_OVERHEAD, LanguageModel, rows_that_fit
from reasoning_arena.agents.layout import buckets, common_start
from reasoning_arena.agents.models import LoadedModel, load_model
from reasoning_arena.agents.prefix import Prefixes
from reasoning_arena.agents.steering import Soft
from torch import Tensor
from transformers import AutoModelForCausalLM

PROMPTS = [[5, 6, 7, 8, 9], [5, 6, 9], [5, 6, 11, 12, 13, 14, 15, 16], [5, 6, 7]]
COMPLETIONS = [[20, 21, 2], [22, 2], [23, 24, 25, 26, 2], [2]]
STOPS = frozenset({2})


@pytest.fixture(autouse=True, params=["plain", "padded", "recorded"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything computed once; all rows together, with packed weights; nothing so, decoded on a GPU's buffers."""
    monkeypatch.setitem(BATCH_OVERHEAD, "cpu", 0 if request.param == "plain" else 1000)
    if request.param == "padded":
        monkeypatch.setattr(product, "LARGE", 0)
    if request.param == "recorded":
        monkeypatch.setattr(graphs, "RECORDED_ON", ("cpu",))
        monkeypatch.setattr(fused, "PADS_SKIPPED_ON", ())
        monkeypatch.setattr(fused, "HALVES_APART_ON", ("cpu",))
        monkeypatch.setattr(recorded, "ROWS", 1)  # all sizes are met
        monkeypatch.setattr(recorded, "COLUMNS", 4)
        for name, value in (("UNIT", 3), ("PADS", 0), ("OFTEN", 0)):
            monkeypatch.setattr(recorded_pass, name, value)


def soft_prompt(lm: LoadedModel, *shape: int) -> Tensor:
    width = lm.model.get_input_embeddings().weight.shape[1]
    generator = torch.Generator().manual_seed(1)
    return (torch.randn(*shape, width, generator=generator) * 0.5).requires_grad_()


def plain_logits(lm: LoadedModel, soft: Tensor, ids: list[int]) -> Tensor:
    embeds = torch.cat([soft, lm.model.get_input_embeddings()(torch.tensor(ids))])[None]
    return lm.model(inputs_embeds=embeds, use_cache=False).logits[0, len(soft) :]


def plain_logprobs(lm: LoadedModel, soft: Tensor, prompt: list[int], completion: list[int]) -> Tensor:
    logits = plain_logits(lm, soft, prompt + completion)[len(prompt) - 1 : -1]
    return logits.log_softmax(-1).gather(1, torch.tensor(completion)[:, None])[:, 0]


def plain_greedy(
    lm: LoadedModel, soft: Tensor, prompt: list[int], limit: int, stops: frozenset[int] = STOPS
) -> tuple[int, ...]:
    said: list[int] = []
    while len(said) < limit and (not said or said[-1] not in stops):
        said.append(int(plain_logits(lm, soft, prompt + said)[-1].argmax()))
    return tuple(said)


def tokens(said: list[Said]) -> list[tuple[int, ...]]:
    return [one.tokens for one in said]


@torch.no_grad()
def test_what_was_kept_of_an_older_soft_prompt_is_not_used(any_lm: LoadedModel) -> None:
    model, soft = LanguageModel(any_lm), torch.nn.Parameter(soft_prompt(any_lm, 3).detach())
    before = model.score(soft, PROMPTS, COMPLETIONS).logprobs
    soft.add_(soft_prompt(any_lm, 3).flip(0), alpha=2.0)  # in place, as an optimiser does
    after = model.score(soft, PROMPTS, COMPLETIONS).logprobs
    for row, prompt, completion in zip(after, PROMPTS, COMPLETIONS, strict=True):
        expected = plain_logprobs(any_lm, soft, prompt, completion)
        torch.testing.assert_close(row[: len(completion)], expected, atol=1e-4, rtol=1e-4)
    assert (after - before).abs().max() > 0.01


def test_families_share_prefixes_where_they_can(any_lm: LoadedModel) -> None:
    assert LanguageModel(any_lm).shares_prefix != any_lm.name.endswith(("mamba", "mistral"))


def test_decoders_of_llamas_kind_are_fused(any_lm: LoadedModel) -> None:
    assert (LanguageModel(any_lm).backbone.fused is not None) == any_lm.name.endswith(("llama", "qwen2"))


def adapted(lm: LoadedModel) -> tuple[LoadedModel, LowRankAdapters]:
    """A copy of a model, with adapters that are no longer what they begin with."""
    own = copy.deepcopy(lm)
    steering = LowRankAdapters(own, soft_prompt(own, 3), 2, prompt_learns=True, seed=0, preamble=soft_prompt(own, 2))
    for one in steering.adapters:
        one.data = torch.randn(one.shape, generator=torch.Generator().manual_seed(2)) * 0.3
    return own, steering


@pytest.mark.parametrize("any_lm", ["llama", "qwen2", "gemma", "gpt_neox", "mistral"], indirect=True)
def test_adapters_are_computed_and_learn_as_plainly(any_lm: LoadedModel) -> None:
    lm, steering = adapted(any_lm)
    model, learnt = LanguageModel(lm), [steering.weight, *steering.adapters]
    assert (model.backbone.fused is not None) == lm.name.endswith(("llama", "qwen2"))
    whole, weights = steering().whole(), torch.arange(1.0, 5.0)
    for _ in range(2):
        rows = [plain_logprobs(lm, whole, p, c) for p, c in zip(PROMPTS, COMPLETIONS, strict=True)]
        with torch.no_grad():  # what all begin with is kept from here, or from before the adapters' change
            told = model.score(steering(), PROMPTS, COMPLETIONS, range(4)).logprobs
        for got, row in zip(told, rows, strict=True):
            torch.testing.assert_close(got[: len(row)], row, atol=1e-4, rtol=1e-4)
        said = model.generate(steering(), PROMPTS, 6, STOPS, scored_next=True)
        assert tokens(said) == [plain_greedy(lm, whole, prompt, 6) for prompt in PROMPTS]
        scored = model.score(steering(), PROMPTS, COMPLETIONS, keep_contexts=model.shares_prefix)
        for got, row in zip(scored.logprobs, rows, strict=True):
            torch.testing.assert_close(got[: len(row)], row, atol=1e-4, rtol=1e-4)
        loss = torch.stack([row.sum() for row in rows]) @ weights
        expected = torch.autograd.grad(loss, learnt)
        for got, gradient in zip(torch.autograd.grad(scored.logprobs.sum(1) @ weights, learnt), expected, strict=True):
            torch.testing.assert_close(got, gradient, atol=1e-3, rtol=1e-3)
        begun = model.begin(scored, 6, STOPS)
        if model.shares_prefix:
            (grown,) = model.grow([begun], 6, STOPS)
            assert list(grown.said) == tokens(said)
        model.generate(steering(), PROMPTS, 6, STOPS, scored_next=True)  # what it keeps is soon that of an older model
        with torch.no_grad():
            for one in steering.adapters:
                one.mul_(-1.5)  # in place, as an optimiser does
        if model.shares_prefix:
            assert begun.growing
            with pytest.raises(AssertionError, match="no longer"):
                model.grow([begun], 6, STOPS)


@pytest.mark.parametrize("any_lm", ["llama"], indirect=True)
def test_a_step_between_scoring_and_its_gradient_is_noticed(any_lm: LoadedModel) -> None:
    lm, steering = adapted(any_lm)
    loss = LanguageModel(lm).score(steering(), PROMPTS, COMPLETIONS).logprobs.sum()
    with torch.no_grad():
        for one in steering.adapters:
            one.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


@pytest.mark.filterwarnings("ignore:Already found a `peft_config`", "ignore:`lora_bias=True`")
@pytest.mark.parametrize("change", ["merge", "disable", "dora", "bias", "two"])
def test_adapters_of_other_kinds_are_left_to_peft(lm: LoadedModel, change: str) -> None:
    own = copy.deepcopy(lm)
    dora, bias = change == "dora", change == "bias"
    config = LoraConfig(r=2, use_dora=dora, lora_bias=bias, init_lora_weights=False, task_type="CAUSAL_LM")
    inject_adapter_in_model(config, own.model)
    if change == "two":
        inject_adapter_in_model(config, own.model, adapter_name="second")
    for module in own.model.modules():
        if isinstance(module, BaseTunerLayer):
            if change == "merge":
                module.merge()
            if change == "disable":
                module.enable_adapters(False)
    model, soft = LanguageModel(own), soft_prompt(own, 3)
    assert model.backbone.fused is None
    scored = model.score(soft, PROMPTS, COMPLETIONS).logprobs
    for got, prompt, completion in zip(scored, PROMPTS, COMPLETIONS, strict=True):
        expected = plain_logprobs(own, soft, prompt, completion)
        torch.testing.assert_close(got[: len(completion)], expected, atol=1e-4, rtol=1e-4)


def test_adapters_that_would_be_left_out_are_found_out(lm: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    own = copy.deepcopy(lm)
    begun = LowRankAdapters(own, soft_prompt(own, 3), 2, prompt_learns=False, seed=0)
    before = [one.detach().clone() for one in begun.adapters]
    assert LanguageModel(own).backbone.fused is not None
    taken_apart = fused.taken_apart
    monkeypatch.setattr(fused, "taken_apart", lambda layer: (taken_apart(layer)[0], None))
    assert LanguageModel(own).backbone.fused is None
    assert all(torch.equal(*pair) for pair in zip(before, begun.adapters, strict=True))


def fronts(lm: LoadedModel, kind: str) -> tuple[Tensor, Soft, list[Tensor]]:
    """What learns, the same as it is handed over, and what stands before each prompt."""
    preamble = soft_prompt(lm, 7)[3:].detach() if "preamble" in kind else soft_prompt(lm, 0).detach()
    soft = soft_prompt(lm, 3) if "shared" in kind else soft_prompt(lm, 4, 3)
    if "both" in kind:  # two virtual tokens that all share, and one that is a prompt's own
        shared = soft[0, :2]
        return soft, Soft(preamble, shared, soft[:, 2:]), [torch.cat([preamble, shared, own[2:]]) for own in soft]
    if "shared" in kind:
        return soft, Soft(preamble, soft), [torch.cat([preamble, soft])] * 4
    return soft, Soft(preamble, soft[0, :0], soft), [torch.cat([preamble, own]) for own in soft]


KINDS = pytest.mark.parametrize(
    "kind", [f"{kind}{front}" for front in ("", " behind a preamble") for kind in ("shared", "each", "both")]
)


@KINDS
def test_scores_and_gradients_equal_the_plain_ones(any_lm: LoadedModel, kind: str) -> None:
    soft, given, own = fronts(any_lm, kind)
    scored = LanguageModel(any_lm).score(given, PROMPTS, COMPLETIONS)
    weights = torch.arange(1.0, 5.0)
    (got,) = torch.autograd.grad(scored.logprobs.sum(1) @ weights, soft, retain_graph=True)
    rows = [plain_logprobs(any_lm, own[i], p, c) for i, (p, c) in enumerate(zip(PROMPTS, COMPLETIONS, strict=True))]
    for i, row in enumerate(rows):
        assert torch.allclose(scored.logprobs[i, : len(row)], row, atol=1e-4)
        assert not scored.logprobs[i, len(row) :].any()
        assert scored.mask[i].tolist() == [t < len(row) for t in range(scored.mask.shape[1])]
    (want,) = torch.autograd.grad(sum(row.sum() * w for row, w in zip(rows, weights, strict=True)), soft)
    assert torch.allclose(got, want, rtol=1e-3, atol=1e-4 * float(want.abs().max()))


@KINDS
@pytest.mark.parametrize("derived", [1, 3])
def test_gradients_of_some_completions_beside_others(lm: LoadedModel, kind: str, derived: int) -> None:
    soft, given, _ = fronts(lm, kind)
    model, some = LanguageModel(lm), given.of(range(derived))
    if not model.backbone.derives_some:  # where passes are recorded
        with pytest.raises(AssertionError):
            model.score(given, PROMPTS, COMPLETIONS, derived=derived)
        return
    scored = model.score(given, PROMPTS, COMPLETIONS, keep_contexts=True, derived=derived)
    alone = model.score(some, PROMPTS[:derived], COMPLETIONS[:derived])
    every = model.score(given, PROMPTS, COMPLETIONS, keep_contexts=True)
    torch.testing.assert_close(scored.logprobs, every.logprobs, atol=1e-4, rtol=1e-4)
    weights = torch.arange(1.0, derived + 1)
    got, want = (
        torch.autograd.grad(one.logprobs[:derived].sum(1) @ weights, soft, retain_graph=True)[0]
        for one in (scored, alone)
    )
    assert torch.allclose(got, want, atol=1e-3, rtol=1e-3)
    (others,) = torch.autograd.grad(scored.logprobs.sum(1) @ torch.tensor([*weights, *[9.0] * (4 - derived)]), soft)
    torch.testing.assert_close(others, got)  # nothing comes from the others, whatever is asked of them
    for begin, end in ((0, derived), (derived, None)):
        parts = [model.begin(one.part(begin, end), 6, STOPS) for one in (scored, every)]
        grown = [model.grow([one], 6, STOPS)[0].said for one in parts]
        assert grown[0] == grown[1]


@KINDS
def test_prompts_of_a_token_beside_long_ones(any_lm: LoadedModel, kind: str) -> None:
    _, given, own = fronts(any_lm, kind)
    prompts, owners = [[5], [6, *range(10, 90)], [7], [8, 9]], [0, 2, 1, 0]
    scored = LanguageModel(any_lm).score(given, prompts, COMPLETIONS, owners)
    for i, (owner, completion) in enumerate(zip(owners, COMPLETIONS, strict=True)):
        row = plain_logprobs(any_lm, own[owner], prompts[owner], completion)
        assert torch.allclose(scored.logprobs[i, : len(row)], row, atol=1e-4)


@KINDS
def test_several_completions_of_some_prompts(any_lm: LoadedModel, kind: str) -> None:
    soft, given, own = fronts(any_lm, kind)
    owners = [1, 1, 0, 2]
    scored = LanguageModel(any_lm).score(given, PROMPTS, COMPLETIONS, owners)
    (got,) = torch.autograd.grad(scored.logprobs.sum(), soft, retain_graph=True)
    rows = [plain_logprobs(any_lm, own[o], PROMPTS[o], c) for o, c in zip(owners, COMPLETIONS, strict=True)]
    for i, row in enumerate(rows):
        assert torch.allclose(scored.logprobs[i, : len(row)], row, atol=1e-4)
    (want,) = torch.autograd.grad(torch.cat(rows).sum(), soft)
    assert torch.allclose(got, want, rtol=1e-3, atol=1e-4 * float(want.abs().max()))


@KINDS
def test_answering_before_scoring_changes_no_gradient(any_lm: LoadedModel, kind: str) -> None:
    soft, given, _ = fronts(any_lm, kind)
    model = LanguageModel(any_lm)

    def gradient() -> Tensor:
        scored = model.score(given, PROMPTS, COMPLETIONS, [1, 1, 0, 2])
        return torch.autograd.grad(scored.logprobs.sum(), soft, retain_graph="both" in kind)[0]

    want = gradient()
    said = model.generate(given, PROMPTS, 6, STOPS, scored_next=True)
    assert said == model.generate(given, PROMPTS, 6, STOPS)
    model.generate(given, PROMPTS, 6, STOPS, scored_next=True)
    for _ in range(2):  # with what was computed before, and without
        assert torch.allclose(gradient(), want, rtol=1e-3, atol=1e-4 * float(want.abs().max()))


@pytest.mark.parametrize("virtual", [1, 12])
@pytest.mark.parametrize("prompts", [[[5], [6], [5, 7]], [[5], [6]]])
def test_rows_may_be_shorter_or_longer_than_what_they_begin_with(
    lm: LoadedModel, virtual: int, prompts: list[list[int]]
) -> None:
    soft, completions = soft_prompt(lm, virtual), COMPLETIONS[1 : 1 + len(prompts)]
    pairs = list(zip(prompts, completions, strict=True))
    expected = [plain_logprobs(lm, soft, prompt, completion).sum() for prompt, completion in pairs]
    model = LanguageModel(lm)
    for owners in (None, range(len(prompts))):
        scored = model.score(soft, prompts, completions, owners).logprobs.sum(1)
        assert torch.allclose(scored, torch.stack(expected), atol=1e-4)
        gradients = [torch.autograd.grad(one.sum(), soft, retain_graph=True)[0] for one in (scored, sum(expected))]
        assert torch.allclose(*gradients, rtol=1e-3, atol=1e-4)
    with torch.no_grad():
        said = tokens(model.generate(soft, prompts, 4, STOPS))
        assert said == [plain_greedy(lm, soft, prompt, 4) for prompt in prompts]


def test_what_all_begin_with_is_computed_once_for_answering_and_scoring(lm: LoadedModel) -> None:
    soft, model, computed = soft_prompt(lm, 3), LanguageModel(lm), []
    prefixes = model._batches.prefixes
    prefixes.pass_overhead, compute = 0, prefixes._compute
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prefixes, "_compute", lambda *given: (computed.append(given), compute(*given))[1])
        for times in (1, 2):  # a second backward pass needs it computed again
            for _ in range(2):
                model.generate(soft, PROMPTS, 6, STOPS, scored_next=True)
            model.score(soft, PROMPTS, COMPLETIONS).logprobs.sum().backward()
            assert len(computed) == times


@KINDS
def test_greedy_decoding_equals_the_plain_one(any_lm: LoadedModel, kind: str) -> None:
    with torch.no_grad():
        _, given, own = fronts(any_lm, kind)
        said = tokens(LanguageModel(any_lm).generate(given, PROMPTS, 6, STOPS))
        assert said == [plain_greedy(any_lm, own[i], p, 6) for i, p in enumerate(PROMPTS)]


def test_decoding_stops_at_stop_tokens_and_drops_rows(any_lm: LoadedModel) -> None:
    soft = soft_prompt(any_lm, 3).detach()
    free = [plain_greedy(any_lm, soft, p, 8, frozenset()) for p in PROMPTS]
    for stops in ({row[t]} for row in free for t in (0, 2, 5)):  # tokens at which some rows end early
        said = tokens(LanguageModel(any_lm).generate(soft, PROMPTS, 8, frozenset(stops)))
        assert said == [plain_greedy(any_lm, soft, p, 8, frozenset(stops)) for p in PROMPTS]


@pytest.mark.parametrize("preamble", [0, 5])
@pytest.mark.parametrize("limit", [1, 3, 6])
def test_foreseen_answers_equal_decoded_ones(lm: LoadedModel, limit: int, preamble: int) -> None:
    model, learns, constant = LanguageModel(lm), soft_prompt(lm, 3).detach(), soft_prompt(lm, preamble).detach()
    change = 0.3 * torch.randn(learns.shape, generator=torch.Generator().manual_seed(2))
    soft, moved = Soft(constant, learns), Soft(constant, learns + change)
    first, then = (tokens(model.generate(some, PROMPTS, limit, STOPS)) for some in (soft, moved))
    right, wrong = list(first[0]), [*first[2][:1], (first[2][min(1, limit - 1)] + 1) % 100, 2]
    completions = [right, COMPLETIONS[1], wrong, [*first[3], 2]]
    scored = [model.score(s, PROMPTS, completions, keep_contexts=True) for s in (soft, moved)]
    begun = [model.begin(one, limit, STOPS) for one in scored]
    assert [one.said for one in model.grow(begun, limit, STOPS)] == [first, then]


@pytest.mark.parametrize(("leave", "preamble"), [(1, 0), (2, 5), (3, 0)])
def test_answers_left_growing_go_on_as_if_they_had_not_stopped(lm: LoadedModel, leave: int, preamble: int) -> None:
    model, limit, never, front = LanguageModel(lm), 9, frozenset[int](), soft_prompt(lm, preamble).detach()
    softs = [Soft(front, soft_prompt(lm, 3).detach() * factor) for factor in (1, 1.5)]
    said = [tokens(model.generate(soft, PROMPTS, limit, never)) for soft in softs]
    begun = []
    for soft, answers in zip(softs, said, strict=True):
        # Wrong from ever later tokens on, so that the first have the most left to say.
        wrong = [[*answer[:n], (answer[n] + 1) % 100] for n, answer in enumerate(answers)]
        begun.append(model.begin(model.score(soft, PROMPTS, wrong, keep_contexts=True), limit, never))
    assert [len(one.growing) for one in begun] == [len(PROMPTS)] * 2
    some = model.grow(begun[:1], limit, never, leave)
    assert len(some[0].growing) == leave
    cache, _ = merged([memory for one in (*some, begun[1]) for memory in one.memories], 1)
    assert columns_of(cache.head) == preamble  # a preamble is never copied
    assert [one.said for one in model.grow([*some, begun[1]], limit, never)] == said


def test_sampling_follows_the_distribution(lm: LoadedModel) -> None:
    soft, prompt, n = soft_prompt(lm, 3).detach(), PROMPTS[0], 4000
    generator = torch.Generator().manual_seed(0)
    said = LanguageModel(lm).generate(soft, [prompt], 1, STOPS, temperatures=[[2.0] * n], generator=generator)
    counts = torch.bincount(torch.tensor([row[0] for row in tokens(said)]), minlength=lm.vocabulary_size) / n
    expected = (plain_logits(lm, soft, prompt)[-1] / 2.0).softmax(-1)
    assert (counts - expected).abs().sum() < 3 * (lm.vocabulary_size / n) ** 0.5
    assert (counts - expected).abs().max() < 0.05


def test_samples_come_with_their_probability(any_lm: LoadedModel) -> None:
    soft = soft_prompt(any_lm, 3).detach()
    warm = [(0.0, 1.0)] * len(PROMPTS)
    said = LanguageModel(any_lm).generate(
        soft, PROMPTS, 5, STOPS, temperatures=warm, generator=torch.Generator().manual_seed(0)
    )
    for prompt, greedy, sample in zip(PROMPTS, said[::2], said[1::2], strict=True):
        assert greedy.logprob == 0
        assert sample.logprob == pytest.approx(
            plain_logprobs(any_lm, soft, prompt, list(sample.tokens)).sum().item(), abs=1e-3
        )


def test_each_temperature_gives_one_answer(lm: LoadedModel) -> None:
    soft = soft_prompt(lm, 3).detach()
    generator = torch.Generator().manual_seed(0)
    said = LanguageModel(lm).generate(
        soft, PROMPTS, 5, STOPS, temperatures=[(0.0, 1.5, 0.0)] * len(PROMPTS), generator=generator
    )
    assert all(one.logprob == 0 for one in said[0::3])

    greedy = [plain_greedy(lm, soft, p, 5) for p in PROMPTS]
    assert tokens(said[0::3]) == greedy
    assert tokens(said[2::3]) == greedy
    assert tokens(said[1::3]) != greedy


def test_greedy_answers_beside_change_no_sample(lm: LoadedModel) -> None:
    soft, model, alone = soft_prompt(lm, 3).detach(), LanguageModel(lm), PROMPTS[:2]
    warm, cold = [(1.5, 1.5)] * 2, [(0.0,)] * 2
    generator = torch.Generator()
    said = model.generate(soft, alone, 6, STOPS, temperatures=warm, generator=generator.manual_seed(0))
    both = model.generate(
        soft, [*PROMPTS[2:], *alone], 9, STOPS, temperatures=[*cold, *warm], generator=generator.manual_seed(0)
    )
    assert [row[:6] for row in tokens(both[2:])] == tokens(said)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(1, 60), min_size=1, max_size=30), st.integers(0, 200))
def test_buckets_hold_every_row_once(lengths: list[int], overhead: int) -> None:
    batches = buckets(lengths, overhead)
    assert sorted(n for batch in batches for n in batch) == list(range(len(lengths)))
    cost = sum(len(batch) * max(lengths[n] for n in batch) + overhead for batch in batches)
    assert cost <= len(lengths) * max(lengths) + overhead


def test_a_small_gpu_decodes_fewer_answers_together() -> None:
    small, large = 2 * 30 * 576 * 2, 2 * 32 * 4096 * 2  # SmolLM2-135M's and a 7B model's bytes a token, in bfloat16
    assert rows_that_fit(80 * 10**9, small) == 128
    assert 32 <= rows_that_fit(16 * 10**9, small) < 128
    assert rows_that_fit(16 * 10**9, large) == 8
    assert 8 < rows_that_fit(40 * 10**9, large) < 32


@torch.no_grad()
def test_what_is_kept_of_a_batch_holds_nothing_else_in_memory(lm: LoadedModel) -> None:
    scored = LanguageModel(lm).score(soft_prompt(lm, 3), PROMPTS, COMPLETIONS, keep_contexts=True)
    assert scored.contexts
    for context in scored.contexts:
        kept = [one for pair in (*context.memory.own, *(context.memory.head or ())) for one in pair]
        storages = {one.untyped_storage().data_ptr(): one.untyped_storage().nbytes() for one in kept}
        # A head was a row, too; what is recorded has rows and columns of pads.
        most = 2 if "cpu" in graphs.RECORDED_ON else 1 + 1 / len(context.rows)
        assert sum(storages.values()) <= most * sum(one.nbytes for one in kept)


@torch.no_grad()
def test_one_prompt_is_scored_behind_the_head_that_several_had(
    lm: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    language_model, soft = LanguageModel(lm), soft_prompt(lm, 3)
    language_model._batches.prefixes.pass_overhead = 0
    several = language_model.score(soft, PROMPTS, COMPLETIONS)
    language_model._batches.prefixes.pass_overhead = 1000
    monkeypatch.setattr(Prefixes, "_compute", None)  # which would fail
    for n, prompt in enumerate(PROMPTS):
        one = language_model.score(soft, [prompt], [COMPLETIONS[n]])
        length = len(COMPLETIONS[n])
        assert torch.allclose(one.logprobs[0, :length], several.logprobs[n, :length], atol=1e-5)


def test_common_start() -> None:
    assert common_start(PROMPTS) == [5, 6]
    assert common_start([[1, 2], [1, 2]]) == [1, 2]
    assert common_start([[1], [2]]) == []


def test_a_spread_model_scores_and_decodes_alike(lm: LoadedModel, lm_folder: Path, tmp_path: Path) -> None:
    """Without several devices: one layer's weights stay on disk, and come to the device when they are needed."""
    spread = AutoModelForCausalLM.from_pretrained(
        lm_folder,
        dtype=torch.float32,
        device_map={"model.embed_tokens": "cpu", "model.layers.0": "cpu", "model.rotary_emb": "cpu"}
        | dict.fromkeys(["model.layers.1", "model.norm", "lm_head"], "disk"),
        offload_folder=str(tmp_path),
    )
    assert spread.model.layers[1].mlp.up_proj.weight.device.type == "meta"
    spread.eval().requires_grad_(False)
    there, here = LanguageModel(LoadedModel("spread", "spread", spread, lm.tokenizer)), LanguageModel(lm)
    assert there.shares_prefix
    assert there.backbone.fused is None
    soft = soft_prompt(lm, 3)
    scored = [model.score(soft, PROMPTS, COMPLETIONS, keep_contexts=True) for model in (here, there)]
    assert torch.allclose(scored[0].logprobs, scored[1].logprobs, atol=1e-4)
    gradients = [torch.autograd.grad(one.logprobs.sum(), soft)[0] for one in scored]
    assert torch.allclose(*gradients, rtol=1e-3, atol=1e-4 * float(gradients[0].abs().max()))
    begun = [model.begin(one, 6, STOPS) for model, one in zip((here, there), scored, strict=True)]
    grown = [model.grow([one], 6, STOPS)[0].said for model, one in zip((here, there), begun, strict=True)]
    assert grown[0] == grown[1]


def test_a_model_can_be_spread_over_all_devices_there_are(lm: LoadedModel, lm_folder: Path) -> None:
    spread = load_model(str(lm_folder), "balanced", "float32")
    soft = soft_prompt(lm, 3).detach()
    said = tokens(LanguageModel(spread).generate(soft.to(spread.device), PROMPTS, 6, STOPS))
    assert said == [plain_greedy(lm, soft, p, 6) for p in PROMPTS]
