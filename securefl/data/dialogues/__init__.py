"""Synthetic dialogues of four domains: a seeded grammar, not text of real people."""
