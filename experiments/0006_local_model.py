"""Hypothesis: what makes SmolLM2 answer nonsense under llama.cpp is the rounding of activations to 8 bits.

Greedy answers of 25 prompts, token by token, by transformers (float32, weights dequantised from the same file) and by
llama.cpp with the packaged Q4_1 weights, and with the same weights widened to 16 bits; then transformers once more,
with nothing changed but the inputs of its linear layers rounded to 8 bits. Result: docs/guide/models.md.

    pip install accelerate                              # transformers wants it for GGUF files
    python experiments/0006_local_model.py              # about five minutes on one core
    python experiments/0006_local_model.py --write      # and pin the reference of tests/models/test_local.py
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

from homespun.models.local import Local, LocalConfig
from homespun.models.smollm2 import weights
from homespun.records import Message, Prompt, Sampling

TOKENS = 48
PINNED = Path(__file__).resolve().parents[1] / "tests" / "models" / "smollm2_greedy.json"
PROMPTS = (
    "What is the capital of France?",
    "What is 2 + 2?",
    "Natalia sold 48 clips in April and half as many in May. How many clips did she sell altogether?",
    "Write a short poem about the sea.",
    "Explain photosynthesis in one sentence.",
    "List three primary colours.",
    "Translate 'good morning' into Spanish.",
    "Who wrote Romeo and Juliet?",
    "What do bees make?",
    "Name the largest planet in the solar system.",
    "Is the sky blue? Answer yes or no.",
    "Write a Python function that adds two numbers.",
    "Give me a recipe for pancakes.",
    "What is the opposite of hot?",
    "How many days are there in a week?",
    "Why do we sleep?",
    "Summarise: The cat sat on the mat. It was warm. It slept.",
    "Complete the sentence: Once upon a time",
    "What year did the Second World War end?",
    "If I have 3 apples and eat one, how many are left?",
    "Tell me a joke about computers.",
    "What is the boiling point of water in Celsius?",
    "Yesterday was April 30, 2021. What is the date today in MM/DD/YYYY?",
    "A robe takes 2 bolts of blue fiber and half that much white fiber. How many bolts in total does it take?",
    "Hello",
)


def load() -> tuple[Any, Any]:
    """Tokenizer and float32 model by transformers, from the packaged weights."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.set_num_threads(1)
    file = weights(wide=False)
    tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
    return tokenizer, AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.float32).eval()


def rounded() -> dict[str, Any]:
    """First tokens by transformers when every linear layer's input is rounded to 8 bits in blocks of 32."""
    import torch

    tokenizer, model = load()

    def first(text: str) -> torch.Tensor:
        chat = [{"role": "user", "content": text}]
        ids = tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_dict=False)
        with torch.no_grad():
            return torch.log_softmax(model(torch.tensor([ids])).logits[0, -1], -1)

    def round_input(_: Any, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor]:
        blocks = inputs[0].reshape(-1, 32)
        scale = blocks.abs().amax(1, keepdim=True) / 127
        return (
            torch.where(scale > 0, torch.round(blocks / scale.clamp(min=1e-30)) * scale, blocks).reshape(
                inputs[0].shape
            ),
        )

    exact = [first(text) for text in PROMPTS]
    for layer in model.modules():
        if isinstance(layer, torch.nn.Linear):
            layer.register_forward_pre_hook(round_input)
    noisy = [first(text) for text in PROMPTS]
    gaps = [abs(float(a.max() - b[a.argmax()])) for a, b in zip(exact, noisy, strict=True)]
    flips = {
        text: [tokenizer.decode([int(a.argmax())]), tokenizer.decode([int(b.argmax())])]
        for text, a, b in zip(PROMPTS, exact, noisy, strict=True)
        if a.argmax() != b.argmax()
    }
    return {"first_logprob_gap_mean": round(sum(gaps) / len(gaps), 4), "gap_max": round(max(gaps), 4), "flips": flips}


def reference() -> list[dict[str, Any]]:
    """Greedy answers by transformers, with the log-prob of each token and the lead over the next best."""
    import torch

    tokenizer, model = load()
    answers: list[dict[str, Any]] = []
    for text in PROMPTS:
        chat = [{"role": "user", "content": text}]
        ids = tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_dict=False)
        tokens = torch.tensor([ids])
        with torch.no_grad():
            out = model.generate(
                tokens,
                attention_mask=torch.ones_like(tokens),
                max_new_tokens=TOKENS,
                do_sample=False,
                eos_token_id=2,
                pad_token_id=2,
                return_dict_in_generate=True,
                output_logits=True,
            )
        new = out.sequences[0, len(ids) :]
        best = [torch.topk(torch.log_softmax(step[0].float(), -1), 2).values.tolist() for step in out.logits]
        answers.append(
            {
                "prompt": text,
                "prompt_tokens": len(ids),
                "answer": tokenizer.decode(new, skip_special_tokens=True),
                "logprobs": [round(first, 4) for first, _ in best],
                "leads": [round(first - second, 4) for first, second in best],
            }
        )
    return answers


def compare(answers: list[dict[str, Any]], config: LocalConfig) -> dict[str, Any]:
    """How one configuration of the local model does beside the reference."""
    import asyncio

    model = Local(config=config)
    same, gaps, diverging, tokens, started = 0, [], {}, 0, time.monotonic()
    for answer in answers:
        sampling = Sampling(max_tokens=TOKENS, logprobs=True)
        messages = (Message(role="user", content=answer["prompt"]),)
        prompt = Prompt(id="x", problem_id="x", strategy="standard", messages=messages, sampling=sampling)
        [row] = asyncio.run(model.sample(prompt))
        same += row.text == answer["answer"]
        gaps.append(abs((row.logprobs or (0.0,))[0] - answer["logprobs"][0]))
        tokens += row.cost.output_tokens
        if row.text != answer["answer"]:
            diverging[answer["prompt"]] = row.text[:60]
    return {
        "wide": config.wide,
        "same": same,
        "of": len(answers),
        "first_logprob_gap_mean": round(sum(gaps) / len(gaps), 4),
        "first_logprob_gap_max": round(max(gaps), 4),
        "tokens_per_second": round(tokens / (time.monotonic() - started), 1),
        "diverging": diverging,
    }


def main() -> None:
    """Runs both configurations and prints one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="pin the reference for the tests")
    answers = reference()
    if parser.parse_args().write:
        PINNED.write_text(json.dumps(answers, indent=1) + "\n")
    results = {"llama.cpp": [compare(answers, LocalConfig(wide=wide, threads=1)) for wide in (False, True)]}
    print(json.dumps(results | {"transformers, inputs rounded": rounded()}, indent=1))


if __name__ == "__main__":
    main()
