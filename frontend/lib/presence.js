// Whether somebody is at the page.
import { TIMING } from "./timing.js";

let touchedAt = Date.now();
for (const type of ["keydown", "pointerdown", "pointermove"]) window.addEventListener(type, () => { touchedAt = Date.now(); });

/** True when it was touched a moment ago. */
export const isAttended = () => Date.now() - touchedAt < TIMING.presence;
