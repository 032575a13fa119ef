"""The tests. A package, for some installed ones carry a folder of this name too, and would hide it."""
