/* Order among the updates of the server. */

/** Which update of the server is the newest; those of an older run, and late ones of the same run, are dropped. */
export class Newest {
  run = -1;
  number = -1;

  /** Whether the update is newer than all before it; from then on it is the newest. */
  take(update) {
    if (!update || update.run < this.run || (update.run === this.run && update.number <= this.number)) return false;
    this.run = update.run;
    this.number = update.number;
    return true;
  }

  /** Whether no newer update has arrived since this one. */
  is(update) {
    return update.run === this.run && update.number === this.number;
  }
}
