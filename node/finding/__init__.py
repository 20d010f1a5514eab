"""Finding conversations: by what they are, and by what was said in them.

facets, filters, walk   what they are: pure, in step with what was applied
words, texts            what was said, as terms: pure
fulltext, search        an index of terms in a thread, a moment behind (ADR 0023)
"""
