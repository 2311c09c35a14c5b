// Before the first paint: the theme that was picked in this browser, if one was.
(() => {
  let theme = null;
  try {
    theme = localStorage.getItem("dragoman.theme");
  } catch {
    // Storage may be closed; the system's theme holds then.
  }
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
})();
