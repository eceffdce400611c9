"""Counts words: `mrc submit examples/wordcount.py IN… OUT` on a cluster, `mrc run examples/wordcount.py IN… OUT` without one."""

from mapreduce import Job


class WordCount(Job):
    """Counts words of at least `--min-length` letters."""

    min_length: int = 1
    encoding_errors = "replace"

    def map(self, line: str):
        for word in line.split():
            if len(word) >= self.min_length:
                yield word, 1

    def reduce(self, word, counts):
        yield word, sum(counts)

    combine = reduce
