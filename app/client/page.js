/* Other parts of the page. */

/** An element of the page; any, as it may be a field, a button, or a host with a `loupe`. */
export const find = (selector) => /** @type {any} */ (document.querySelector(selector));

/** The stepper of the page; undefined before it is there. */
export const pageStepper = () => find("#stepper")?.loupe;
