"""Consensus in figures: throughput, failover, restart, catching up, snapshots; etcd beside it.

__main__.py     the command line, and the tables
throughput.py   commands per second, closed loops, beside etcd and the disk
failover.py     SIGKILL of the leader to the next acknowledged write through another node
recovery.py     a restart with a long log; a node that missed much
stall.py        how long a snapshot holds the loop up
nodes.py        three processes to start, ask and kill
member.py       one of them: the production replica
commands.py     what is proposed
slow.py         a disk whose every sync takes longer
etcd.py         three etcd servers, and what they say of themselves
etcd_client.py  closed loops against one of them, as light as Python can be
"""
