"""The command line: parse, wire, call one function, render."""
