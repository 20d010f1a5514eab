"""Real dialogues spoken through a real cluster while its leader is killed, and checked."""
