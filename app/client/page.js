/* Other parts of the page. */

/** An element of the page; any, as it may be a field, a button, or a host with a `loupe`. */
export const find = (selector) => /** @type {any} */ (document.querySelector(selector));

/** The stepper of the page; undefined before it is there. */
export const pageStepper = () => find("#stepper")?.loupe;

/** Where keys are typed: shortcuts do not work there. */
export const FIELDS = "textarea, select, [contenteditable=true], input:not([type=radio], [type=checkbox], [type=range], [type=button])";

/** Open a tab by what it is called; on a narrow page it may be in the menu of those that do not fit. */
export function openTab(label) {
  const offered = /** @type {HTMLElement[]} */ ([...document.querySelectorAll("#workbench > .tab-wrapper :is([role=tab], .overflow-dropdown button)")]);
  const tab = offered.find(({ textContent }) => textContent.trim() === label);
  if (!tab) return;
  tab.click();
  tab.focus();
  tab.scrollIntoView({ block: "nearest" });
}
