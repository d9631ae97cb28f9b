// A ticket's code over the whole screen, as bright as the page can make it, until it is touched again.
const code = document.querySelector("[data-bright]");
let lock = null;
code?.addEventListener("click", async () => {
  const isLarge = code.classList.toggle("large");
  if (isLarge) {
    lock = (await navigator.wakeLock?.request("screen").catch(() => null)) ?? null;
  } else {
    lock?.release();
    lock = null;
  }
});
