"""How do the pages of another publisher become facts?  Layout, reading and facts, one file each.

Nothing in here repairs, completes or judges what a page says.
"""
