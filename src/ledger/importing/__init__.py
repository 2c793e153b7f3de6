"""How do pages and feeds of another publisher become facts?  Reading and facts, one file each.

Nothing in here repairs, completes or judges what a page or a feed says.
"""
