"""Says for every word in which files it stands and how often: the index behind a search engine.

    mrc run examples/inverted_index.py docs index
    mrc submit examples/inverted_index.py --stop the,and,of /books /index

A line of the output is a word and its files, the one that has it most often first: `leader <TAB>
raft.txt:12 paxos.txt:7`.
"""

import re

from mapreduce import Job

WORD = re.compile(r"[^\W\d_]+")


class InvertedIndex(Job):
    """Lists the files that each word stands in."""

    stop: str = ""  # words to leave out, with commas between them
    encoding_errors = "replace"

    def setup(self):
        self.stop_words = set(self.stop.lower().split(","))

    def map(self, line: str):
        name = self.context.input_path.rpartition("/")[2]
        for word in WORD.findall(line.lower()):
            if word not in self.stop_words:
                yield word, {name: 1}

    def combine(self, word, postings):
        total = {}
        for posting in postings:
            for name, count in posting.items():
                total[name] = total.get(name, 0) + count
        yield word, total

    def reduce(self, word, postings):
        for _word, total in self.combine(word, postings):
            ranked = sorted(total.items(), key=lambda item: (-item[1], item[0]))
            yield word, " ".join(f"{name}:{count}" for name, count in ranked)
