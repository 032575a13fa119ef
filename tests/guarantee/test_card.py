"""The card says what the terms say, also for the configs that are easy to get wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from securefl import config as configuration
from securefl.building import load_dataset
from securefl.config import Config
from securefl.errors import ConfigError
from securefl.guarantee import Card, Terms, abandon_probability, card, settle, with_rule
from securefl.privacy.accountant import epsilon
from securefl.robust import OwnRule, trimmed_mean

Make = Callable[..., Config]
CONFIGS = Path(__file__).resolve().parents[2] / "examples" / "configs"


def settled(config: Config) -> tuple[Terms, Card]:
    terms = settle(config, load_dataset(config))
    return terms, card(terms)


def text(shown: Card) -> str:
    return shown.markdown()


@pytest.mark.parametrize("name", ["quickstart", "no_privacy"])
def test_every_card_ends_with_what_is_not_promised(name: str) -> None:
    _, shown = settled(configuration.load(CONFIGS / f"{name}.yaml"))
    assert list(shown.sections)[-1] == "Not promised"
    assert len(shown.sections["Not promised"]) >= 4


def test_the_epsilon_on_the_card_is_the_accountants_for_all_releases(small: Make) -> None:
    terms, shown = settled(small())
    assert terms.budget is not None
    releases = ((terms.budget.event, 3 + 1),)
    assert terms.budget.epsilon == epsilon(releases, 1e-5) <= 8.0
    assert f"epsilon = {terms.budget.epsilon:.3f} at delta = 1e-05" in text(shown)
    assert f"RDP as cross-check gives {epsilon(releases, 1e-5, 'rdp'):.3f}" in text(shown)


def test_without_privacy_or_masks_the_card_says_so(small: Make) -> None:
    _, shown = settled(small("privacy={unit: none}", "secure_aggregation.masking=false"))
    assert "epsilon is infinite" in text(shown)
    assert "the server sees every client's update as it is" in text(shown)


def test_a_replayable_source_turns_every_promise_off(small: Make) -> None:
    terms, _ = settled(small())
    assert text(card(terms, private=False)).count("NOT PRIVATE") == 2
    assert "spends at most" not in text(card(terms, private=False))


def test_weights_by_examples_change_the_neighbouring_relation(small: Make) -> None:
    _, shown = settled(small("server.weights={kind: examples, cap: 100}", "robust.rule=mean"))
    assert "zero-out" in text(shown)
    assert "data-set sizes are not protected" in text(shown)


def test_the_least_number_of_groups_is_called_the_bare_median(small: Make) -> None:
    assert "bare median" in text(settled(small())[1])
    assert "bare median" not in text(settled(small("clients=15"))[1])


RULES_AND_SENTENCES = (
    ("trimmed_mean", 3, "every coordinate of the update stays within the honest group means."),
    ("geometric_median", 3, "no further from any point than 4 times the furthest of the honest group means"),
    ("centred_clipping", 4, "by no more than 0.25 times its distance from the furthest of the honest group"),
    ("krum", 5, "single row, which lies within 1 times the diameter of the honest group means"),
    ("multi_krum", 7, "each lie within 1 times the diameter of the honest group means"),
    ("bulyan", 7, "within the range of the honest group means, widened on both sides by its own width"),
)


@pytest.mark.parametrize(("rule", "groups", "sentence"), RULES_AND_SENTENCES)
def test_the_card_says_what_the_chosen_rule_bears(small: Make, rule: str, groups: int, sentence: str) -> None:
    _, shown = settled(small(f"clients={3 * groups}", f"robust.rule={rule}"))
    said = " ".join(shown.sections["Malicious clients"])
    assert f"Rule: {rule} over {groups} group means. With at most f = 1 malicious clients" in said
    assert sentence in said
    assert ("bare median" in said) == (rule == "trimmed_mean")


def test_steps_before_the_rule_are_named_and_count_in_the_groups_it_needs(small: Make) -> None:
    steps = "[{kind: bucketing, size: 2}, {kind: nearest_neighbours}]"
    config = small("clients=15", f"robust.before={steps}", "simulation.dropout=0.1")
    said = " ".join(settled(config)[1].sections["Malicious clients"])
    assert "5 group means after bucketing by 2, then nearest-neighbour mixing. With at most f = 1" in said
    assert "at least 5 finished groups" in said
    assert "a malicious one near them may be mixed in" in said
    assert "5 groups are the least that f = 1 needs: one group lost" in said
    fewer = config.model_copy(update={"robust": small().robust})
    assert abandon_probability(config) > abandon_probability(fewer)


def test_a_rule_of_the_callers_own_is_counted_and_vouched_for_by_nobody(small: Make) -> None:
    own = OwnRule("mine", lambda f: trimmed_mean(f), rows_needed=lambda f: 3 * f)
    terms = with_rule(settled(small("robust.rule=mean", "simulation.dropout=0.1"))[0], own)
    said = " ".join(card(terms).sections["Malicious clients"])
    assert "Rule: mine, given in Python, over 3 group means. What it bears is its author's word" in said
    assert "3 groups are the least that f = 1 needs: one group lost" in said
    assert "Robust rules count groups equally" in " ".join(card(terms).sections["Not promised"])
    assert abandon_probability(terms.config, own) > abandon_probability(terms.config)
    with pytest.raises(ConfigError, match="expected 4 groups or more for the rule 'mine', f = 1, got 3"):
        with_rule(terms, replace(own, rows_needed=lambda f: 4 * f))


def test_clipping_before_the_mean_is_said_and_bounds_nothing_more(small: Make) -> None:
    robust = "robust={rule: mean, max_malicious: 0, before: [{kind: clipping, norm: 0.5}]}"
    said = " ".join(settled(small(robust))[1].sections["Malicious clients"])
    assert "Rule: mean after clipping to norm 0.5. It bounds nothing" in said


def test_what_is_scored_without_being_charged_is_among_what_is_not_promised(small: Make) -> None:
    plain, curves = (
        "\n".join(settled(small(f"simulation.client_curves={on}"))[1].sections["Not promised"])
        for on in ("false", "true")
    )
    assert "server's test set, 899 examples held out, exactly: no guarantee covers it" in plain
    assert "exact scores on training data" in curves
    assert "exact scores on training data" not in plain


def test_the_card_gives_the_share_of_abandoned_rounds_and_says_that_smaller_groups_bear_less() -> None:
    terms, shown = settled(configuration.load(CONFIGS / "quickstart.yaml"))
    share = 100 * abandon_probability(terms.config)
    assert f"0.1 about {share:.0f} % of the rounds are abandoned at their first attempt" in text(shown)
    assert "A group of 4 survives 1 of its members vanishing" in text(shown)
    assert "drawn smaller, because clients were lost in the draw, survives fewer" in text(shown)


def test_without_masks_the_share_of_abandoned_rounds_is_on_the_card_too(small: Make) -> None:
    _, shown = settled(small("secure_aggregation.masking=false", "simulation.dropout=0.5"))
    assert "left out of its group's sum" in text(shown)
    assert "% of the rounds are abandoned" in text(shown)
