/* Which runs were looked at, one after the other: what undo and redo go through. */

export class History {
  #runs = [];
  #place = -1;
  #going = -1;

  /** The run that was looked at before this one; undefined where there is none. */
  get before() {
    return this.#runs[this.#place - 1];
  }

  /** The run that was left by going back; undefined where there is none. */
  get after() {
    return this.#runs[this.#place + 1];
  }

  /** One is on the way back (-1) or on (1): the next visit there adds nothing. Returns the run; undefined for none. */
  go(by) {
    this.#going = this.#place + by;
    return this.#runs[this.#going];
  }

  /** A run is looked at: it comes after the last one, and ends what could be gone on to. */
  visit(run) {
    const going = this.#going;
    if (run === this.#runs[this.#place]) return;
    this.#going = -1;
    if (run === this.#runs[going]) this.#place = going;
    else this.#runs.splice(++this.#place, Infinity, run);
  }

  /** Forget runs that are not there any more. */
  keep(known) {
    if (this.#runs.every((run) => known.has(run))) return;
    const left = [];
    let place = -1;
    this.#runs.forEach((run, i) => {
      if (known.has(run) && run !== left.at(-1)) left.push(run);
      if (i <= this.#place) place = left.length - 1;
    });
    this.#runs = left;
    this.#place = place;
    this.#going = -1;
  }
}
