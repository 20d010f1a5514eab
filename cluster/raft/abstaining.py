"""A node that may have forgotten promises decides nothing until they are void.  No I/O.

    lost    the folder, a log that was damaged and set aside, or frames that the disk had called
            durable (`cluster.raft.doubting`): entries that were acknowledged, votes that were given
    so      no vote, no candidacy; acknowledgements, and answers that confirm a leader, are
            counted for nothing; entries and snapshots are taken like any follower's
    until   the leader vouches for it: an entry that the leader appended in its own term,
            after this node said that it abstains, is committed without this node, and this
            node holds it

    follower X, life 7                leader L, term t
      append_ack  life=7  ────────▶   forgets what X proved; appends a no-op, at index c
      append_ack  life=7  ────────▶   (not counted)       c is committed by a majority, not X
                          ◀────────   append, prev >= c, vouched=7
      holds prev: term t, vote L, and from now on a voter like any other

Why that is enough, with V a majority that elects and Q one that commits:

- An entry that X had acknowledged and that was committed is in L's log.  Q has it in at least
  one node that is not X; c was committed by a majority without X, and two such majorities of
  the others meet (|Q| - 1 + |V| >= N, of N - 1 nodes).  A node in both had the entry before
  it followed L.
- No leader of a term after t was elected before X came back: its majority would meet the one
  that committed c, in a node that had left t.
- A candidate Y of a later term, which has X's forgotten vote already, cannot win: it was past
  t when c was made, so it has not got c, and no node of the majority that holds c votes
  for it.
- In term t itself X votes for nobody but L.

So a node without memory is safe as long as a majority of the voters remembers.  With fewer
there is no leader, and a person must decide.

A cluster begins with nothing but empty nodes: they abstain, all of them.  A candidate among
them needs word from every voter, in one round, that its log is empty too; its request for the
vote names the life of the voter, so a voter that lost everything since then does not give it.

A cluster that is restored from a backup begins in the same way, at the index of the backup and in
term 0, in place of index 1: `empty` is who holds nothing of any leader, and all must be so at
one index.  Its nodes abstain like empty ones, so a folder that is restored once more, after the
cluster has begun, votes for nobody before it is vouched for.

Where some voters were restored and others are empty, or were restored at another index, nobody
begins.  Two backups of one index cannot be told apart here, and need not be: nodes compare the
origins of their states before they exchange a word (`cluster.backup.origin`).

`life` is a number drawn at the start of a process: an answer or a voucher for an earlier
life of the same node is seen.

Source: Raft thesis (Ongaro 2014), sections 3.6.3 and 11.2; Alagappan et al., "Protocol-Aware
Recovery for Consensus-Based Storage", FAST 2018; TigerBeetle, docs/operating/recovering.md.
"""

from dataclasses import dataclass


@dataclass(slots=True)
class Memory:
    """What a leader knows of one follower's: whether it abstains, and since when."""

    life: int = 0
    """Its life, while it abstains; else 0."""
    _since_request: int = 0
    _proof_index: int = 0

    def is_stale(self, request: int, life: int) -> bool:
        """Whether an answer is of another life than the latest known."""
        return life != self.life and request <= self._since_request

    def changed(self, life: int, *, request_last: int, proof_index: int) -> None:
        """It abstains from now on, or has done with it (0); `proof_index` is that of c."""
        self.life = life
        self._since_request = request_last
        self._proof_index = proof_index

    def vouched(self, prev_index: int, commit_index: int) -> int:
        """Return what an append behind `prev_index` may say: the life that is trusted, or 0."""
        return self.life if self._proof_index <= min(prev_index, commit_index) else 0
