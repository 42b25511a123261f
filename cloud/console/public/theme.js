// Runs before the first paint, so that a dark screen never flashes white; a file of its own because of the content policy.
(() => {
  let stored = null;
  try {
    stored = localStorage.getItem("shopfloor.theme");
  } catch {
    // storage is switched off: follow the system
  }
  const dark = stored ? stored === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  document.documentElement.classList.toggle("dark", dark);
})();
