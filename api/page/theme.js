// Runs before the first paint, so that nobody who chose the dark sees a white flash.
(() => {
  try {
    const chosen = localStorage.getItem("kadr.theme");
    if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
  } catch {
    // Storage may be forbidden; then the system's theme holds.
  }
})();
