"""Each library as its users call it, with one method for each thing measured.

A method returns what came of it, characters or vectors, so that nobody is fast by
leaving something out. `make(url, key, kind)` makes the contender of a module.
"""
