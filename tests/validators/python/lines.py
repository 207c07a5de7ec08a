"""Lets a recipe answer line by line: {"token": ...} comes in, {"accepted": claims} or {"refused": reason} goes out."""

import json
import sys
from collections.abc import Callable


def answer(validate: Callable[[str], dict], refusal: type[Exception]) -> None:
    for line in sys.stdin:
        try:
            answer = {"accepted": validate(json.loads(line)["token"])}
        except refusal as error:
            answer = {"refused": str(error)}
        print(json.dumps(answer), flush=True)
