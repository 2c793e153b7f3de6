"""How can outsiders check the log without our code?  A Merkle tree over it, in the formats of C2SP.

``merkle`` is the arithmetic of the tree, ``entries`` says which bytes its leaves are, ``notes``
signs and reads its checkpoints.  Nothing in those three knows a database, a file or a network.
"""
