"""Settings of Avaya phones: `SET NAME "value"` lines, or `NAME value` and sections."""

import re


def parse(content):
    pairs = []
    section = ""
    for line in content.decode("utf-8").splitlines():
        if not line or line.startswith(("##", "GET ")):
            pairs += [("GET", line[4:])] if line.startswith("GET ") else []
        elif match := re.fullmatch(r"\[([A-Z_]+)\]", line):
            section = match[1] + "."
        elif line.startswith("SET "):
            match = re.fullmatch(r'SET ([A-Z0-9_]+) "(.*)"', line)
            assert match, line
            name, value = match.groups()
            if name == "PHONEKEY":
                name += value.partition(";")[0]
            pairs.append((name, value))
        else:
            name, _, value = line.partition(" ")
            assert re.fullmatch("[A-Z0-9_]+", name), line
            pairs.append((section + name, value))
    return pairs
