"""Everything a developer of Casefile runs: `python3 -m dev help` lists it, the Makefile delegates
to it. It needs Python 3.11 and nothing else; what it needs beyond that it installs inside the
checkout (.venv, .local), so deleting those two folders undoes all of it.
"""
