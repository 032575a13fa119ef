"""What a configuration promises, and what it does not, computed by the functions that the run uses."""

from securefl.guarantee.abandonment import abandon_probability
from securefl.guarantee.base_model import base_hash
from securefl.guarantee.card import Card, card
from securefl.guarantee.statement import privacy_statement
from securefl.guarantee.terms import Budget, Terms, check_ledger, settle, with_rule
from securefl.guarantee.wire import model_spec, traffic, traffic_sentence, wire

__all__ = [
    "Budget",
    "Card",
    "Terms",
    "abandon_probability",
    "base_hash",
    "card",
    "check_ledger",
    "model_spec",
    "privacy_statement",
    "settle",
    "traffic",
    "traffic_sentence",
    "wire",
    "with_rule",
]
