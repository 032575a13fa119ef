"""YAML to a frozen, validated `Config`; the cross-field checks; the schema for editors. No torch."""

from securefl.config.document import digest, dump, load, parse, schema
from securefl.config.root import Config

__all__ = ["Config", "digest", "dump", "load", "parse", "schema"]
