// A classic script, run before the first paint: a chosen theme must not flash in after the other one.
(() => {
  const chosen = localStorage.getItem("ops.theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
})();
