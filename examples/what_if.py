"""Ask what a change would have picked, then draw the branch in which it was made."""

from dataclasses import replace

from arrag import Change, DecodeSettings, generate, load_backend, open_database, what_if

backend = load_backend("novice")
database = open_database("unseen", backend)
prompt, settings = "a red heart, flat style", DecodeSettings(seed=2, retrieval_weight=0.6)
trace = generate(backend, database, prompt, settings)

position = int(trace.flips()[0])
change = Change(position, settings=replace(settings, retrieval_weight=0.1))
asked = what_if(trace, position, change)
print(f"position {position}: code {asked.codes[0]} was taken; with lambda 0.1 from here on it is {asked.codes[1]}")

branch = generate(backend, database, prompt, settings, changes=[change])
same = (branch.codes == trace.codes).tolist()
print(f"the branch takes code {branch.codes[position]}; {same[position:].count(False)} of the later codes differ")
assert all(same[:position]), "before the change, the same noise takes the same codes"
