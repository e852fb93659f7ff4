"""Estimators and the loss, against their definitions and against full enumeration."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from reasoning_arena.agents.language_model import Scored
from reasoning_arena.train.estimators import ESTIMATORS, exact, merged
from reasoning_arena.train.losses import contrast, per_token, weighted_completions
from torch import Tensor

REWARDS = torch.tensor([[1.0, -1.0, -1.0, 1.0], [-1.0, -1.0, -1.0, -1.0], [1.0, 1.0, 1.0, 1.0]])


def weights(name: str, rewards: Tensor = REWARDS) -> Tensor:
    return ESTIMATORS[name].weights(rewards)


def test_weights_by_definition() -> None:
    assert torch.equal(weights("reinforce"), REWARDS)
    assert torch.allclose(weights("rloo")[0], torch.tensor([4 / 3, -4 / 3, -4 / 3, 4 / 3]))
    assert torch.allclose(weights("grpo")[0], torch.tensor([1.0, -1.0, -1.0, 1.0]), atol=1e-4)
    assert torch.allclose(weights("maxrl")[0], torch.tensor([1.0, -1.0, -1.0, 1.0]))
    assert torch.allclose(weights("maxrl", torch.tensor([[1.0, -1, -1, -1]])), torch.tensor([[3.0, -1, -1, -1]]))
    assert torch.equal(weights("raft")[0], torch.tensor([1.0, 0.0, 0.0, 1.0]))


@pytest.mark.parametrize("name", ["rloo", "grpo", "maxrl"])
def test_groups_of_equal_rewards_carry_no_weight(name: str) -> None:
    assert not weights(name)[1:].any()


@given(st.lists(st.lists(st.sampled_from([-1.0, 1.0]), min_size=4, max_size=4), min_size=1, max_size=5))
def test_centred_estimators_sum_to_nothing(rewards: list[list[float]]) -> None:
    for name in ("rloo", "grpo", "maxrl"):
        assert torch.allclose(weights(name, torch.tensor(rewards)).sum(1), torch.zeros(len(rewards)), atol=1e-4)


@pytest.mark.parametrize("name", ["reinforce", "rloo"])
def test_unbiased_estimators_ascend_the_expected_reward(name: str) -> None:
    """Over all groups of two answers, weighted by their probability, the estimate is the gradient of the expected reward."""
    rewards = torch.tensor([1.0, -1.0, 0.5])
    theta = torch.tensor([0.3, -0.2, 0.1], requires_grad=True)
    probabilities = theta.softmax(0)
    (exact,) = torch.autograd.grad((probabilities * rewards).sum(), theta, retain_graph=True)
    estimate = torch.zeros(3)
    for i in range(3):
        for j in range(3):
            w = weights(name, torch.stack([rewards[i], rewards[j]])[None])[0]
            surrogate = (w[0] * probabilities[i].log() + w[1] * probabilities[j].log()) / 2
            (gradient,) = torch.autograd.grad(surrogate, theta, retain_graph=True)
            estimate += (probabilities[i] * probabilities[j]).detach() * gradient
    assert torch.allclose(estimate, exact, atol=1e-5)


def test_the_loss_is_minus_weighted_log_probability() -> None:
    logprobs = torch.tensor([[-1.0, -2.0, 0.0], [-4.0, -5.0, -6.0]], requires_grad=True)
    mask = torch.tensor([[True, True, False], [True, True, True]])
    scored = Scored([[1, 2], [1, 2, 3]], logprobs, mask, mask.long(), [])
    assert weighted_completions(scored, torch.tensor([1.0, 2.0]), 2).item() == pytest.approx((3 + 30) / 2)
    assert weighted_completions(scored, per_token(scored), 2).item() == pytest.approx((1.5 + 5) / 2)


@pytest.mark.parametrize("rewards", [[1.0, -1.0, 0.5], [-1.0, 1.0, -1.0], [-1.0, -1.0, -1.0]])
def test_exact_ascends_the_logarithm_of_the_probability_of_success(rewards: list[float]) -> None:
    paid = torch.tensor(rewards)
    theta = torch.tensor([0.3, -0.2, 0.1, 0.9], requires_grad=True)  # the last answer is no candidate
    logprobs = theta.log_softmax(0)[:3]
    weights = exact(paid, logprobs.detach())
    (got,) = torch.autograd.grad((weights * logprobs).sum(), theta, retain_graph=True)
    success = (logprobs.exp() * (paid > 0)).sum()
    if success > 0:
        (want,) = torch.autograd.grad(success.log(), theta)
        assert torch.allclose(got, want, atol=1e-6)
    else:
        assert not got.any()


def test_equal_answers_are_scored_once_for_all_that_they_carry() -> None:
    answers = [(5, 1), (7, 1), (5, 1), (5, 1), (9, 1)]
    weights = torch.tensor([1.0, -1.0, 0.5, 0.25, 2.0, 0.0])  # the last is of no answer
    assert merged(weights, answers).tolist() == [1.75, -1.0, 0.0, 0.0, 2.0, 0.0]
    assert weights[2] == 0.5


def test_contrast_is_the_gradient_of_the_gold_share() -> None:
    logprobs = torch.tensor([-2.0, -1.0, -3.0, -2.5, -0.5], dtype=torch.float64, requires_grad=True)
    owners = torch.tensor([0, 1, 0, 1, 0])
    share = logprobs[0] - logprobs[[0, 2, 4]].logsumexp(0) + logprobs[1] - logprobs[[1, 3]].logsumexp(0)
    (want,) = torch.autograd.grad(share, logprobs)
    assert torch.allclose(contrast(logprobs.detach(), owners), want)
    scored = Scored([], logprobs[:, None], torch.ones(5, 1, dtype=torch.bool), torch.zeros(5, 1), [])
    (got,) = torch.autograd.grad(weighted_completions(scored, contrast(logprobs.detach(), owners), 1), logprobs)
    assert torch.allclose(got, -want)
