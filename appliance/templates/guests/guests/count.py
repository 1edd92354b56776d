# Nothing to build, once `af wasm prepare` has built the interpreter: Python is run as it is.
import json
import sys

json.dump({"words": len(json.load(sys.stdin)["text"].split())}, sys.stdout)
