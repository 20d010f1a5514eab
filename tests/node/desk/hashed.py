"""Secrets, and what is kept of them."""

from argon2 import PasswordHasher

from node.desk.passwords import LANES, MEMORY_KIB, PASSES

SECRET = "correct horse battery"
NEXT = "another staple of words"
HASHER = PasswordHasher(PASSES, MEMORY_KIB, LANES)
HASHES = {secret: HASHER.hash(secret) for secret in (SECRET, NEXT, "naïve + 100% größe")}
