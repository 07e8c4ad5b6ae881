/* What compared runs are called. */

export const LETTERS = ["A", "B", "C", "D"];
