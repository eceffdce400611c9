"""Joins two tables by their first column: orders with the customers who placed them.

    mrc run examples/join.py --left customers.tsv customers.tsv orders.tsv joined mrc submit
    examples/join.py --left customers.tsv /shop/customers.tsv /shop/orders.tsv /shop/joined

Both are text with tabs between columns. The file whose name is given by `--left` is the one side,
all other input is the other. A key of the left side that stands in several lines joins with each;
keys without a partner are counted and left out (`--outer` keeps them).
"""

from mapreduce import Job


class Join(Job):
    """Joins two tables by their first column."""

    left: str
    outer: bool = False

    def map(self, line: str):
        key, _tab, rest = line.partition("\t")
        is_left = self.context.input_path.rpartition("/")[2] == self.left
        yield key, (0 if is_left else 1, rest)

    def reduce(self, key, rows):
        # All rows of one key meet here, in the order of the input; which side each came from is its
        # first field.
        left, right = [], []
        for side, row in rows:
            (right if side else left).append(row)
        if not (left and right):
            self.counter("without a partner").inc()
            if not self.outer:
                return
        for one in left or [""]:
            for other in right or [""]:
                yield key, f"{one}\t{other}"
