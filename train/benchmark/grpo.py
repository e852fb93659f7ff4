"""TRL's GRPOTrainer with PEFT's prompt tuning: groups of sampled answers, and a step on all of them.

TRL runs its own loop, so a callback holds the stopwatch and stops it.
"""

import tempfile
import time
from collections.abc import Sequence
from itertools import islice
from typing import Any

import torch
from reasoning_arena.agents.encoding import PLAIN, Encoder
from reasoning_arena.agents.models import LoadedModel, dtype_name
from reasoning_arena.train.benchmark.contest import Measurement, asked, start
from reasoning_arena.train.benchmark.settings import ResolvedSettings
from reasoning_arena.train.memory import peak_memory

LR = 1e-3
BATCHES = 100  # of different questions
WARM_UP = 1  # steps: they are long


def paid(completions: Sequence[Any], gold: Sequence[str], **_: Any) -> list[float]:
    """1 for the gold answer and -1 for anything else, as our environments pay."""
    texts = [one if isinstance(one, str) else one[0]["content"] for one in completions]
    return [1.0 if text.strip() == answer else -1.0 for text, answer in zip(texts, gold, strict=True)]


def grpo(lm: LoadedModel, settings: ResolvedSettings) -> Measurement:
    """Measure completions a second."""
    from datasets import Dataset
    from peft import PromptTuningConfig, TaskType
    from transformers import TrainerCallback
    from transformers.trainer_callback import PrinterCallback
    from trl import GRPOConfig, GRPOTrainer

    seconds, group, length = settings.seconds, settings.samples_per_question, settings.max_new_tokens
    chat = Encoder(lm, settings.chat_template).chat_template
    rows = [
        {"prompt": [{"role": "user", "content": one}] if chat else PLAIN.format(question=one), "gold": gold}
        for batch in islice(asked(settings, settings.questions), BATCHES)
        for one, gold in batch
    ]
    ends: list[float] = []  # of steps
    lengths: list[float] = []

    class Stopwatch(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            ends.append(time.perf_counter())
            control.should_training_stop = len(ends) > WARM_UP and ends[-1] - ends[WARM_UP - 1] >= seconds

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
            lengths.extend([logs["completions/mean_length"]] if "completions/mean_length" in logs else [])

    with tempfile.TemporaryDirectory() as folder:
        arguments = GRPOConfig(
            output_dir=folder,
            use_cpu=lm.device.type == "cpu",
            bf16=lm.dtype == torch.bfloat16,
            per_device_train_batch_size=settings.questions * group,  # one generation and one step on all of it
            num_generations=group,
            max_completion_length=length,
            generation_kwargs={"min_new_tokens": length},
            temperature=1.0,
            learning_rate=LR,
            beta=0.0,
            max_steps=1_000_000,
            shuffle_dataset=False,
            gradient_checkpointing=False,  # it would only cost time here
            logging_steps=1,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            seed=settings.seed,
        )
        trainer = GRPOTrainer(
            model=lm.model,
            reward_funcs=paid,
            args=arguments,
            train_dataset=Dataset.from_list(rows),
            processing_class=lm.tokenizer,
            peft_config=PromptTuningConfig(task_type=TaskType.CAUSAL_LM, num_virtual_tokens=settings.soft_tokens),
            callbacks=[Stopwatch()],
        )
        (weight,) = (one for one in trainer.model.parameters() if one.requires_grad)
        weight.data.copy_(start(lm, settings).weight)
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    done = (len(ends) - WARM_UP) * settings.questions * group
    rate = done / (ends[-1] - ends[WARM_UP - 1])
    dtype = dtype_name(lm.dtype)
    notes = {"completion_length": sum(lengths) / len(lengths)}
    return Measurement(rate, done, peak_memory(lm.device), dtype, notes=notes)
