// Speaks to screen readers, at most once in ten seconds: of several messages the last one is said.

const QUIET_MS = 10_000;
let spokenAt = -QUIET_MS;
let timer = null;

/** Says `text` through the page's status region, now or when the quiet time is over. */
export function announce(text) {
  clearTimeout(timer);
  const wait = Math.max(0, spokenAt + QUIET_MS - performance.now());
  timer = setTimeout(() => {
    spokenAt = performance.now();
    document.getElementById("announcements").textContent = text;
  }, wait);
}
