"""What a configuration promises, and what it does not, computed by the functions that the run uses."""

from securefl.guarantee.card import Card, abandon_probability, card
from securefl.guarantee.terms import Budget, Terms, check_ledger, model_spec, settle, with_rule

__all__ = [
    "Budget",
    "Card",
    "Terms",
    "abandon_probability",
    "card",
    "check_ledger",
    "model_spec",
    "settle",
    "with_rule",
]
