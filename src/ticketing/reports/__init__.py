"""What was sold and what was paid: statistics, sales, transactions. Only read, never written.

Everything is counted by item. An item is live from the moment it was sold until it was given back; an order over two
events is shared out between them.
"""
