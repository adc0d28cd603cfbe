#!/usr/bin/env python3
"""Prints "file:line: function of N lines" for each C or C++ function longer than the limit.

Used by tests/shell/tidy.sh. A reader of braces, not of C++: it blanks out comments, strings and
characters, then takes every block whose head has a parameter list and is no control statement.
"""
import re
import sys

CONTROL = re.compile(r"^(if|for|while|switch|do|else|catch|try|return|namespace|class|struct|enum|union|extern)\b")
NOISE = re.compile(r'//[^\n]*|/\*.*?\*/|R"(\w*)\(.*?\)\1"|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'', re.S)


def blank(match):
    return "".join(c if c == "\n" else " " for c in match.group())


def functions(text):
    """Yields (first line, number of lines) of each function, nested ones included."""
    text = re.sub(r"^#(?:[^\n]*\\\n)*[^\n]*", blank, NOISE.sub(blank, text), flags=re.M)
    heads, start, line = [], 0, 1
    for i, c in enumerate(text):
        if c == "\n":
            line += 1
        elif c == "{":
            head = text[start:i].strip()
            is_function = "(" in head and not CONTROL.match(head) and not head.endswith(("=", ","))
            first = line - text[start:i].lstrip().count("\n")
            heads.append(first if is_function else None)
            start = i + 1
        elif c == "}" and heads:
            first = heads.pop()
            if first is not None:
                yield first, line - first + 1
            start = i + 1
        elif c == ";" and text.count("(", start, i) == text.count(")", start, i):
            start = i + 1


def main():
    limit = int(sys.argv[1])
    for path in sys.argv[2:]:
        with open(path, encoding="utf-8") as file:
            for first, length in functions(file.read()):
                if length > limit:
                    print(f"{path}:{first}: function of {length} lines")


main()
