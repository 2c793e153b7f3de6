"""Is what a ledger shows what it once signed?  A verifier that trusts nobody, itself least of all.

It is written from docs/ledger-format.md alone and shares no code with whatever writes a ledger: the
standard library, ``cryptography`` and the drivers of the databases are all that it stands on, and
for the views the public folds.  It reads, and never writes to what it reads.
"""
