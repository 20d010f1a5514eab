"""Backups of the whole state, and clusters that begin with one.

file.py      a backup as bytes, and back: checksums, nothing else
restore.py   the empty data folder of a node, made to begin with a backup
checking.py  what is in a backup or a data folder, and whether it is whole
origin.py    which history a state is of
"""
