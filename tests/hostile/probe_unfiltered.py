"""The same child without the filter of system calls and without Landlock: what the other walls hold alone."""

from tests.hostile.probe import probe

if __name__ == "__main__":
    probe(without=("filter_calls", "forbid_files"))
