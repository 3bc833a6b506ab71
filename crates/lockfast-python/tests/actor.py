"""Another process: runs each line of JSON that its parent writes, and answers with the result."""

import json
import signal
import sys


def main() -> None:
    # A shell that starts the tests in the background has Ctrl-C ignored, in all that they start too.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    names: dict[str, object] = {}
    for line in sys.stdin:
        code = json.loads(line)
        try:
            try:
                expression = compile(code, "<told>", "eval")
            except SyntaxError:
                exec(code, names)
                answer = ["done", None]
            else:
                answer = ["done", repr(eval(expression, names))]
        except BaseException as error:
            answer = ["failed", type(error).__name__, str(error)]
        print(json.dumps(answer), flush=True)


main()
