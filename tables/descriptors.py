#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""descriptors.py TABLE OUTPUT CC…

Makes descriptors.table into struct pd_rule entries of a C array, for the ioctls of 64-bit programs
and of 32-bit ones with either kind of time. The compiler says what commands and offsets are.
"""

import itertools
import os
import re
import subprocess
import sys
import tempfile

TOP = "#include <stddef.h>\n#include <stdint.h>\n#include <sys/types.h>\n" \
      "#include <sys/time.h>\n#include <sys/ioctl.h>\n#include <time.h>\n"
# how programs are compiled, and the flag of their commands
PROGRAMS = ((["-m64"], "0"), (["-m32"], "PD_RULE_COMPAT"),
            (["-m32", "-D_TIME_BITS=64", "-D_FILE_OFFSET_BITS=64"], "PD_RULE_COMPAT"))
LINE = re.compile(r"(?P<way>in|out) (?P<cmd>\w+) (?:(?P<special>int|argument|result)|"
                  r"(?P<type>\w+) (?P<field>[\w.]+)"
                  r"(?: of (?P<array>[\w.]+)\[(?P<count>[\w.]+)\] (?P<element>\w+))?"
                  r"(?: if (?P<conds>.+))?)")
COND = re.compile(r"([\w.]+) (==|!=|has) (\w+)")
MAX_CONDS = 3


def parse(path):
    """[(line number, header, fields)] of the table."""
    header, grows, rules = None, False, []
    with open(path, encoding="utf-8") as table:
        for number, line in enumerate(table, 1):
            line = line.split("#")[0].strip()
            if line.startswith("header "):
                _header, header, *words = line.split()
                grows = words == ["grows"]
                if words and not grows:
                    sys.exit(f"{path}:{number}: not understood: {line}")
                continue
            found = LINE.fullmatch(line)
            if line and (not found or not header):
                sys.exit(f"{path}:{number}: not understood: {line}")
            if line:
                rules.append((number, header, {**found.groupdict(), "grows": grows}))
    return rules


def expressions(rule):
    """The C expressions of a rule's numbers, conditions behind."""
    of = f"struct {rule['type']}"
    field, array, count, stride, conds = "0", "PD_RULE_NO_ARRAY", "0", "0", []
    if rule["array"]:
        field = f"offsetof(struct {rule['element']}, {rule['field']})"
        array = f"offsetof({of}, {rule['array']})"
        count = f"offsetof({of}, {rule['count']})"
        stride = f"sizeof(struct {rule['element']})"
    elif rule["field"]:
        field = f"offsetof({of}, {rule['field']})"
    for text in (rule["conds"] or "").split(" and "):
        if not text:
            continue
        name, operator, value = COND.fullmatch(text).groups()
        conds.append((f"offsetof({of}, {name})", "1" if operator == "!=" else "0",
                      value if operator == "has" else "0xffffffff", value))
    assert len(conds) <= MAX_CONDS
    return [rule["cmd"], field, array, count, stride, *(e for c in conds for e in c)]


def worth(cc, flags, header, exprs):
    """The values of C expressions, or None where the headers do not know them."""
    text = f"{TOP}#include <{header}>\n#define PD_RULE_NO_ARRAY 0xffff\n"
    text += "".join(f"unsigned int v{i:03} = {e};\n" for i, e in enumerate(exprs))
    done = subprocess.run([*cc, "-w", *flags, "-I/usr/include/libdrm", "-xc", "-S", "-o-", "-fno-common", "-"], input=text,
                          text=True, capture_output=True, check=False)
    values = re.findall(r"^v(\d{3}):\n\s+\.(?:long|zero)\s+(-?\d+)", done.stdout, re.M)
    # .zero says how many bytes of it there are
    zeros = set(re.findall(r"^v(\d{3}):\n\s+\.zero", done.stdout, re.M))
    if done.returncode or len(values) != len(exprs):
        return None
    return [0 if name in zeros else int(v) & 0xffffffff for name, v in sorted(values)]


def entry(rule, values, compat):
    """A C initialiser."""
    cmd, field, array, count, stride, *rest = values
    flags = ["PD_RULE_IN" if rule["way"] == "in" else "PD_RULE_OUT"]
    if rule["special"] in ("argument", "result"):
        flags.append(f"PD_RULE_{rule['special'].upper()}")
    if rule["grows"]:
        flags.append("PD_RULE_GROWS")
    if compat != "0":
        flags.append(compat)
    conds = "".join(f" {{ {rest[i]}, {rest[i + 1]}, {rest[i + 2]:#x}, {rest[i + 3]:#x} }},"
                    for i in range(0, len(rest), 4))
    return f"{{ {cmd:#010x}, {' | '.join(flags)}, {field}, {array:#x}, {count}, {stride}, " \
           f"{len(rest) // 4}, {{{conds} }} }}, /* {rule['cmd']} */"


def made(cc, table, header, rules):
    """The entries of the rules of one header: all that they need to know is asked at once."""
    entries = []
    exprs = [expressions(rule) for _number, rule in rules]
    for flags, compat in PROGRAMS:
        values = worth(cc, flags, header, [e for of_rule in exprs for e in of_rule])
        if values is None:
            bad = [number for (number, _rule), of_rule in zip(rules, exprs)
                   if worth(cc, flags, header, of_rule) is None]
            sys.exit(f"{table}: <{header}> ({' '.join(flags)}) does not know what these lines name: "
                     f"{bad}")
        for (_number, rule), of_rule in zip(rules, exprs):
            entries.append(entry(rule, values[:len(of_rule)], compat))
            del values[:len(of_rule)]
    return entries


def main(table, output, *cc):
    """Writes the array's entries."""
    entries = []
    for header, rules in itertools.groupby(parse(table), lambda found: found[1]):
        entries += made(cc, table, header, [(number, rule) for number, _header, rule in rules])
    entries = dict.fromkeys(entries)  # without those that are the same for both kinds of time
    with tempfile.NamedTemporaryFile("w", dir=os.path.dirname(output) or ".", delete=False) as file:
        file.write("/* SPDX-License-Identifier: Apache-2.0 */\n/* made by tables/descriptors.py */\n")
        file.write("".join(f"{e}\n" for e in entries))
    os.replace(file.name, output)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
