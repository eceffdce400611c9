"""Counts words.

    mrc run examples/wordcount.py README.md counts
    mrc submit examples/wordcount.py --min-length 4 /books /counts

Each line of the output is a word and how often it stands in the input; bytes that are no UTF-8
count as U+FFFD.
"""

from mapreduce import Job


class WordCount(Job):
    """Counts words of at least `--min-length` letters."""

    min_length: int = 1
    encoding_errors = "replace"

    def map(self, line: str):
        words = [word for word in line.split() if len(word) >= self.min_length]
        self.counter("words").inc(len(words))
        for word in words:
            yield word, 1

    def reduce(self, word, counts):
        yield word, sum(counts)

    combine = reduce
