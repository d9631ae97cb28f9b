// Runs in the head, before anything is painted: light or dark, as chosen here before or as the system prefers.
"use strict";

const ticketingDocs = {
  // Storage may be forbidden; the page then forgets, and works.
  kept(storage, name) { try { return window[storage].getItem(name); } catch { return null; } },
  keep(storage, name, value) {
    try { value ? window[storage].setItem(name, value) : window[storage].removeItem(name); } catch { /* as above */ }
  },
};

(() => {
  const root = document.documentElement;
  const THEME = "ticketing.docs.theme";
  const prefersDark = matchMedia("(prefers-color-scheme: dark)");
  const paint = () => {
    const theme = ticketingDocs.kept("localStorage", THEME) ?? (prefersDark.matches ? "dark" : "light");
    root.classList.toggle("dark-mode", theme === "dark");
  };
  paint();
  prefersDark.addEventListener("change", paint);
  document.addEventListener("click", (event) => {
    if (event.target.id !== "theme") return;
    ticketingDocs.keep("localStorage", THEME, root.classList.contains("dark-mode") ? "light" : "dark");
    paint();
  });
})();
