"""Certificates of the links between nodes: a cluster's own authority, kept in one folder.

authority.py   what is in a certificate, and who signs it
folder.py      ca.crt, ca.key, n1.crt, n1.key: written whole, never overwritten unasked
"""
