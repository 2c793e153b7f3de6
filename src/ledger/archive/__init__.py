"""How does a whole ledger leave its database and come back?  As a folder of plain files.

The folder is the log as lines, its Merkle tree as C2SP tlog-tiles has it, the last checkpoint and
the public bytes of artifacts: any web server can host it, and ``ledger.archive.reading`` trusts
nothing in it.  What the folder holds depends on the log alone, so two exports of one log are equal.
"""
