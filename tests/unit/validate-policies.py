#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""validate-policies.py FOLDER < CASES: TAP. Each line of CASES is "accept" or "refuse" and a JSON
string with the text of a policy: what FOLDER/policy.schema.json must say. FOLDER's own policies
must be accepted."""

import json
import pathlib
import sys

import jsonschema

folder = pathlib.Path(sys.argv[1])
schema = json.loads((folder / "policy.schema.json").read_text())
jsonschema.Draft202012Validator.check_schema(schema)
validator = jsonschema.Draft202012Validator(schema)
count = {"accept": 0, "refuse": 0}


def check(verdict, name, text):
    problems = list(validator.iter_errors(json.loads(text)))
    good = bool(problems) == (verdict == "refuse")
    count[verdict] += 1
    name = name.replace("\n", " ").replace("#", "\\#")
    print("ok" if good else "not ok", sum(count.values()), "-", f"{verdict} {name}")
    for problem in problems if not good else []:
        print("#", problem.message.replace("\n", " "))


for path in [folder / "default.json", *sorted((folder / "examples").glob("*.json"))]:
    check("accept", path.name, path.read_text())
for line in sys.stdin:
    verdict, text = line.split(" ", 1)
    check(verdict, json.loads(text), json.loads(text))
if min(count.values()) < 50:
    sys.exit(f"too few cases were given: {count}")
print(f"1..{sum(count.values())}")
