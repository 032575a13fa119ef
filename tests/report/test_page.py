"""report.html: self-contained, escaped, honest about what the run was."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

from securefl.report import write

WriteRun = Callable[..., Path]
VOID = {"meta", "br", "hr", "img", "input", "link"}


class Outline(HTMLParser):
    """Tags that were opened and never closed, and every attribute that could fetch something."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.targets: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag not in VOID:
            self.open.append(tag)
        self.targets += [
            value or "" for name, value in attrs if name in {"src", "href", "xlink:href", "action"}
        ]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def page_of(out: Path) -> str:
    path = write(out)
    assert path == out / "report.html"
    return path.read_text(encoding="utf-8")


def outline_of(page: str) -> Outline:
    outline = Outline()
    outline.feed(page)
    assert outline.open == []
    return outline


def test_the_page_names_no_address_and_runs_nothing(write_run: WriteRun) -> None:
    page = page_of(write_run())
    outline = outline_of(page)
    assert "//" not in page
    assert "url(" not in re.sub(r"url\(#\w+\)", "", page)
    assert not outline.tags & {"script", "link", "iframe", "img", "object", "embed", "form", "base"}
    assert all(target.startswith("#") for target in outline.targets)


def test_the_pictures_are_there_and_say_what_they_are(write_run: WriteRun) -> None:
    page = page_of(write_run())
    assert page.count("<svg") == 6
    assert page.count('role="img"') == 6
    for words in ("against round", "against epsilon", "against sent per client", "Survivors per group"):
        assert words in page


def test_the_headline_has_accuracy_epsilon_with_its_unit_and_the_status(write_run: WriteRun) -> None:
    page = page_of(write_run())
    assert "<dd>0.908</dd>" in page
    assert "± 0.015, one standard error on 360 rows; majority class 0.103" in page
    assert "<dd>7.93</dd><p>unit: example, delta 1e-5; the most charged client, all rounds</p>" in page
    assert '<span class="tag good">done</span>' in page
    assert "NOT PRIVATE" not in page


def test_epsilon_comes_with_the_whole_statement_of_the_summary(write_run: WriteRun) -> None:
    said = "Epsilon = 3.1000 at delta = 1e-05 (unit: one &lt;training&gt; example)."
    assert said in page_of(write_run())


def test_the_card_is_on_the_page_and_cannot_add_markup(write_run: WriteRun) -> None:
    page = page_of(write_run())
    assert "Epsilon is <strong>8.00</strong>" in page
    assert "&lt;b&gt;magic&lt;/b&gt;" in page


HOSTILE = '"><script>alert(1)</script><img src=x onerror=y> $\\frac{$ & \'"'


def test_nothing_that_a_file_says_becomes_markup(write_run: WriteRun) -> None:
    out = write_run(
        rounds=2,
        guarantee=HOSTILE,
        summary={"name": HOSTILE, "status": HOSTILE, "clients_accuracy": {HOSTILE: {"accuracy": 0.5}}},
        manifest={"data": {"description": HOSTILE, HOSTILE: HOSTILE}},
    )
    (out / "config.yaml").write_text(HOSTILE, encoding="utf-8")
    outline = outline_of(page_of(out))
    assert not outline.tags & {"script", "img"}


def test_a_run_that_is_not_private_says_so_and_shows_no_epsilon(write_run: WriteRun) -> None:
    page = page_of(write_run(rounds=3, manifest={"private": False}))
    assert "<strong>NOT PRIVATE.</strong>" in page
    assert "<dd>∞</dd><p>not private</p>" in page
    assert "7.93" not in page
    assert "against epsilon" not in page.replace("No picture against epsilon", "")


def test_synthetic_data_is_labelled(write_run: WriteRun) -> None:
    page = page_of(write_run(rounds=1, manifest={"data": {"name": "toy", "synthetic": True}}))
    assert '<span class="tag bad">synthetic data</span>' in page


def test_per_client_curves_need_the_simulation_and_carry_its_name(write_run: WriteRun) -> None:
    out = write_run(rounds=3)
    assert "simulation only" in page_of(out)
    lines = (out / "rounds.jsonl").read_text(encoding="utf-8").replace("simulation_only", "client_losses")
    (out / "rounds.jsonl").write_text(lines, encoding="utf-8")
    page = page_of(out)
    assert "simulation only" not in page
    assert "Client by client" not in page


def test_scores_by_hospital_stand_beside_the_majority_class(write_run: WriteRun) -> None:
    scores = {"Cleveland": {"accuracy": 0.83, "majority": 0.55, "examples": 61}, "VA $": {"accuracy": 0.7}}
    page = page_of(write_run(rounds=2, summary={"clients_accuracy": scores}))
    assert "Cleveland" in page
    assert "0.830" in page


def test_a_run_without_a_round_still_has_a_page(write_run: WriteRun) -> None:
    out = write_run(rounds=0)
    page = page_of(out)
    assert "No round has been evaluated." in page
    assert "No round has got as far as its groups." in page
    (out / "summary.json").unlink()
    for name in ("rounds.jsonl", "metrics.jsonl", "guarantee.md", "config.yaml"):
        (out / name).unlink()
    page = page_of(out)
    assert "unfinished" in page
    assert "holds no guarantee.md" in page


def test_a_run_whose_every_round_was_abandoned_lists_the_reasons(write_run: WriteRun) -> None:
    page = page_of(write_run(rounds=3, abandoned={1, 2, 3}))
    assert "<dd>0 of 3</dd><p>3 abandoned, the model unchanged by them</p>" in page
    assert page.count("1 of 3 rows released, a trim of 1 needs 3") == 3


def test_rounds_without_groups_or_accuracy_are_drawn_as_far_as_they_go(write_run: WriteRun) -> None:
    out = write_run(rounds=2)
    (out / "rounds.jsonl").write_text(
        '{"round": 1, "status": "abandoned", "reason": null}\n', encoding="utf-8"
    )
    (out / "metrics.jsonl").write_text('{"round": 1, "test_accuracy": null}\n', encoding="utf-8")
    page = page_of(out)
    assert "no reason recorded" in page
    assert "No round has been evaluated." in page


@pytest.mark.parametrize("rounds", [1, 2, 400])
def test_the_page_stays_small_however_many_rounds_there_are(write_run: WriteRun, rounds: int) -> None:
    assert len(page_of(write_run(rounds=rounds))) < 700_000


def test_equal_runs_give_equal_pages_and_a_new_page_replaces_the_old(write_run: WriteRun) -> None:
    out = write_run(rounds=3)
    first = page_of(out)
    assert page_of(out) == first
    assert not list(out.glob(".report-*"))


def test_personal_models_stand_beside_the_shared_one_and_are_called_a_simulation(write_run: WriteRun) -> None:
    found = {
        "shared": {"mean": 0.4321, "worst_tenth": 0.1},
        "personal": {"mean": 0.9876, "worst_tenth": 0.8765},
    }
    page = page_of(write_run(rounds=2, summary={"personalisation": found}))
    assert re.search(r"personal</td><td>0\.9876</td><td>0\.8765", page)
    assert "simulation only" in page
    assert "held out" not in page_of(write_run(rounds=2))


def test_a_clip_that_moves_is_drawn_with_numbers_that_can_be_read(write_run: WriteRun) -> None:
    out = write_run(rounds=3)
    assert "The clip of each round" not in page_of(out)
    lines = [json.loads(line) for line in (out / "rounds.jsonl").read_text().splitlines()]
    moved = [line | {"clip": clip} for line, clip in zip(lines, (0.1, 0.2, 0.3), strict=True)]
    (out / "rounds.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in moved))
    page = page_of(out)
    assert "The clip of each round" in page
    assert "0.2" in page
    assert "mathdefault" not in page
